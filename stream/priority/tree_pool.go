package priority

// treePool has nodes and siblings for reuse.
type treePool struct {
	nodes    []*treeNode
	siblings []*siblings
}

// How many of each the pool keeps.
const (
	maxPool     = 64
	maxPoolIdle = 8 // while no stream is open
)

// shrink frees what is above maxPoolIdle.
func (p *treePool) shrink() {
	if len(p.nodes) > maxPoolIdle {
		clear(p.nodes[maxPoolIdle:])
		p.nodes = p.nodes[:maxPoolIdle]
	}
	if len(p.siblings) > maxPoolIdle {
		clear(p.siblings[maxPoolIdle:])
		p.siblings = p.siblings[:maxPoolIdle]
	}
}

// getNode returns a node of the default weight that is not in the tree.
func (p *treePool) getNode(id uint32) *treeNode {
	var x *treeNode
	if n := len(p.nodes); n > 0 {
		x = p.nodes[n-1]
		p.nodes = p.nodes[:n-1]
	} else {
		x = new(treeNode)
	}
	x.id, x.weight, x.index = id, DefaultWeight+1, inactive
	return x
}

func (p *treePool) putNode(x *treeNode) {
	*x = treeNode{}
	if len(p.nodes) < maxPool {
		p.nodes = append(p.nodes, x)
	}
}

// getSiblings returns siblings without nodes.
func (p *treePool) getSiblings(parent *treeNode) *siblings {
	var g *siblings
	if n := len(p.siblings); n > 0 {
		g = p.siblings[n-1]
		p.siblings = p.siblings[:n-1]
	} else {
		g = new(siblings)
	}
	g.parent = parent
	return g
}

func (p *treePool) putSiblings(g *siblings) {
	*g = siblings{active: g.active[:0]}
	if len(p.siblings) < maxPool {
		p.siblings = append(p.siblings, g)
	}
}
