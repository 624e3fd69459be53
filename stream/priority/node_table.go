package priority

import "github.com/sluice-go/sluice/stream"

// nodeTable has the open streams, by identifier.
type nodeTable struct {
	stream.Table[*Node]
	peak int // the most streams there have been since the table was empty
}

// maxEmptyTable is how many streams there may have been in a table that keeps its memory when it
// becomes empty: as many as servers commonly allow, since a client that has used them all at once
// will do so again.
const maxEmptyTable = 256

func (t *nodeTable) add(n *Node) {
	t.Put(n.ID, n)
	t.peak = max(t.peak, t.Len())
}

func (t *nodeTable) remove(n *Node) {
	t.Delete(n.ID)
	if t.peak > maxEmptyTable && t.Len() == 0 {
		t.Shrink()
		t.peak = 0
	}
}

// highestOpened has the highest identifiers of streams that were opened, of even and of odd ones.
// Higher ones are idle (RFC 9113 §5.1.1).
type highestOpened [2]uint32

func (o *highestOpened) add(id uint32)       { o[id&1] = max(o[id&1], id) }
func (o *highestOpened) idle(id uint32) bool { return id > o[id&1] }
