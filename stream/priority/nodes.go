package priority

import "github.com/sluice-go/sluice/stream"

// nodes are those that are open, by identifier.
type nodes struct {
	stream.Table[*Node]
	most int // how many there have been since the table was empty
}

// keepNodes is up to how many entries an empty table keeps its memory: as many
// streams as servers tend to allow, since a client that has used them all at once
// will do so again.
const keepNodes = 256

func (t *nodes) add(n *Node) {
	t.Put(n.ID, n)
	t.most = max(t.most, t.Len())
}

func (t *nodes) remove(n *Node) {
	t.Delete(n.ID)
	if t.most > keepNodes && t.Len() == 0 {
		t.Shrink()
		t.most = 0
	}
}
