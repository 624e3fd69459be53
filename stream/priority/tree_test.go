package priority

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func dep(on uint32, weight int) Params {
	return Params{Tree: true, DependsOn: on, Weight: uint8(weight - 1)}
}

func exclusive(on uint32, weight int) Params {
	p := dep(on, weight)
	p.Exclusive = true
	return p
}

// forest builds trees from lines such as "3:5 7:2(9:1)": identifiers, weights and what depends on
// them.
func forest(s Scheduler, shape string) map[uint32]*Node {
	nodes := map[uint32]*Node{}
	var parents []uint32
	last, parent := uint32(0), uint32(0)
	shape = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(shape)
	for _, word := range strings.Fields(shape) {
		switch word {
		case "(":
			parents = append(parents, parent)
			parent = last
		case ")":
			parent = parents[len(parents)-1]
			parents = parents[:len(parents)-1]
		default:
			var weight int
			if _, err := fmt.Sscanf(word, "%d:%d", &last, &weight); err != nil {
				panic(err)
			}
			nodes[last] = &Node{ID: last}
			s.Open(nodes[last], dep(parent, weight))
		}
	}
	return nodes
}

// shape is the reverse of forest, in the order of identifiers.
func (x *treeNode) shape() string {
	if x.children == nil {
		return ""
	}
	all := x.children.members()
	slices.SortFunc(all, func(a, b *treeNode) int { return int(a.id) - int(b.id) })
	var words []string
	for _, child := range all {
		word := fmt.Sprintf("%d:%d", child.id, child.weight)
		if below := child.shape(); below != "" {
			word += "(" + below + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func (g *siblings) members() []*treeNode {
	if g == nil {
		return nil
	}
	all := []*treeNode{g.first}
	for x := g.first.next; x != g.first; x = x.next {
		all = append(all, x)
	}
	return all
}

// RFC 7540 §5.3.1, §5.3.3 and §5.3.4, with A = 1, B = 3 and so on.
func TestTreeReprioritization(t *testing.T) {
	for _, test := range []struct {
		name, before string
		id           uint32
		p            Params
		after        string
	}{
		{"a new dependency", "1:16(3:1 5:2)", 7, dep(1, 3), "1:16(3:1 5:2 7:3)"},
		{"an exclusive one", "1:16(3:1 5:2)", 7, exclusive(1, 3), "1:16(7:3(3:1 5:2))"},
		{"exclusive at the root", "1:16(3:1) 5:2", 7, exclusive(0, 256), "7:256(1:16(3:1) 5:2)"},
		{"exclusive, among its siblings", "1:16(3:1 5:2(9:8) 7:4)", 5, exclusive(1, 3), "1:16(5:3(3:1 7:4 9:8))"},
		{"exclusive, alone already", "1:16(3:1(5:2))", 3, exclusive(1, 7), "1:16(3:7(5:2))"},
		{"with those below", "1:16(3:1(5:2) 7:3)", 3, dep(7, 9), "1:16(7:3(3:9(5:2)))"},
		{"to the root", "1:16(3:1(5:2) 7:3)", 3, dep(0, 9), "1:16(7:3) 3:9(5:2)"},
		{"weight alone", "1:16(3:1(5:2) 7:3)", 3, dep(1, 9), "1:16(3:9(5:2) 7:3)"},
		{"below itself", "1:1(3:2 5:3(7:4(11:6) 9:5))", 1, dep(7, 9), "7:4(1:9(3:2 5:3(9:5)) 11:6)"},
		{"below itself, exclusive", "1:1(3:2 5:3(7:4(11:6) 9:5))", 1, exclusive(7, 9), "7:4(1:9(3:2 5:3(9:5) 11:6))"},
		{"below itself, next to it", "13:1(1:1(3:2(5:3)))", 1, dep(3, 9), "13:1(3:2(1:9 5:3))"},
		{"on itself", "1:16(3:1)", 3, dep(3, 9), "1:16(3:1)"},
		{"on a stream that is idle", "1:16(3:1)", 3, exclusive(99, 9), "1:16 3:16"},
		{"an idle stream", "1:16(3:1)", 99, exclusive(1, 9), "1:16(99:9(3:1))"},
		{"an idle stream on an idle stream", "1:16(3:1)", 99, exclusive(97, 9), "1:16(3:1) 99:16"},
		{"of the other scheme", "1:16(3:1)", 3, ext(0, true), "1:16(3:1)"},
		{"the root", "1:16(3:1)", 0, dep(1, 9), "1:16(3:1)"},
		{"closed and never seen", "9:16(11:1)", 7, dep(9, 9), "9:16(11:1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newTree()
			forest(s, test.before)
			s.Adjust(test.id, test.p)
			if got := s.root.shape(); got != test.after {
				t.Errorf("%s becomes %s, want %s", test.before, got, test.after)
			}
			checkTree(t, s)
		})
	}
}

func TestTreeOpen(t *testing.T) {
	s := newTree()
	nodes := forest(s, "1:1(3:2)")
	s.Adjust(9, exclusive(1, 7))
	open := func(id uint32, p Params, want string) {
		t.Helper()
		nodes[id] = &Node{ID: id}
		s.Open(nodes[id], p)
		if got := s.root.shape(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	open(9, Params{}, "1:1(9:7(3:2))") // where it was put while it was idle
	if got, want := nodes[9].Params(), dep(1, 7); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	open(11, dep(11, 5), "1:1(9:7(3:2)) 11:16") // on itself
	s.Adjust(15, dep(11, 4))
	open(15, dep(9, 3), "1:1(9:7(3:2 15:3)) 11:16") // HEADERS are younger than PRIORITY
	open(17, dep(13, 3), "1:1(9:7(3:2 15:3)) 11:16 17:16")
	s.Close(nodes[9])
	if got := nodes[9].Params(); got != (Params{}) {
		t.Errorf("closed, and has %+v", got)
	}
	open(19, dep(9, 1), "1:1(9:7(3:2 15:3 19:1)) 11:16 17:16") // closed and kept
	s.Adjust(9, dep(11, 2))                                    // moves those that depend on it
	open(21, Params{}, "1:1 11:16(9:2(3:2 15:3 19:1)) 17:16 21:16")
	checkTree(t, s)
}

// The node of a closed stream is retained for a while, and then removed when less than two depend
// on it.
func TestTreeEvicts(t *testing.T) {
	s := newTree()
	s.closed.limit, s.idle.limit, s.closedIdleLimit = 2, 2, 2
	nodes := forest(s, "1:1(3:2(5:3)) 7:4(9:5 11:6) 13:7 15:8")
	closes := func(id uint32, want string) {
		t.Helper()
		s.Close(nodes[id])
		s.Close(nodes[id])
		if got := s.root.shape(); got != want {
			t.Errorf("closing %d: %s, want %s", id, got, want)
		}
		checkTree(t, s)
	}
	closes(3, "1:1(3:2(5:3)) 7:4(9:5 11:6) 13:7 15:8")
	closes(7, "1:1(3:2(5:3)) 7:4(9:5 11:6) 13:7 15:8")
	closes(13, "1:1(5:2) 7:4(9:5 11:6) 13:7 15:8") // 3 goes: 5 has its weight now
	closes(15, "1:1(5:2) 7:4(9:5 11:6) 13:7 15:8") // 7 is not kept, and two depend on it
	closes(1, "1:1(5:2) 7:4(9:5 11:6) 15:8")
	closes(9, "1:1(5:2) 7:4(9:5 11:6)")
	closes(5, "5:1 7:4(9:5 11:6)") // 1 goes
	closes(11, "5:1 11:4")         // 9 goes, and so does 7
	for i := range uint32(5) {
		s.Adjust(101+2*i, dep(11, 9))
	}
	if got, want := s.root.shape(), "5:1 11:4(107:9 109:9)"; got != want {
		t.Errorf("idle streams: %s, want %s", got, want)
	}
	n := &Node{ID: 107}
	s.Open(n, Params{})
	s.Adjust(111, dep(0, 1))
	s.Adjust(113, dep(0, 2))
	if got, want := s.root.shape(), "5:1 11:4(107:9) 111:1 113:2"; got != want {
		t.Errorf("idle streams: %s, want %s", got, want)
	}
	checkTree(t, s)
}

// The streams that depend on one get the octets that it cannot use.
func TestTreeParentFirst(t *testing.T) {
	s := newTree()
	n := forest(s, "1:16(3:16(5:16)) 7:16")
	for _, id := range []uint32{5, 3, 1} {
		s.Ready(n[id])
		if got := s.Next(); got != n[id] {
			t.Errorf("stream %d sends, want %d", got.ID, id)
		}
	}
	s.Ready(n[7])
	if got, want := order(s, 4, 16384), []uint32{1, 7, 1, 7}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	s.Unready(n[1])
	if got, want := order(s, 4, 16384), []uint32{3, 7, 3, 7}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	s.Close(n[3])
	s.Unready(n[7])
	if got, want := order(s, 2, 16384), []uint32{5, 5}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	s.Close(n[5])
	if got := s.Next(); got != nil {
		t.Errorf("stream %d sends, no stream is ready", got.ID)
	}
}

// A stream that is written in pieces gets its share, a stream that was the only one has no excess,
// and streams that come with each frame do not delay one that waits.
func TestTreeStopAndGo(t *testing.T) {
	s := newTree()
	n := forest(s, "1:16 3:16 5:16")
	for range 1000 {
		s.Ready(n[1])
		s.Sent(s.Next(), 1<<20)
		s.Unready(n[1])
	}
	for _, n := range n {
		s.Ready(n)
	}
	sent := map[uint32]int{}
	for range 30_000 {
		next := s.Next()
		sent[next.ID] += 16384
		s.Sent(next, 16384)
		if next.ID == 1 {
			s.Unready(next)
			s.Ready(next)
		}
	}
	for id, bytes := range sent {
		if share := float64(bytes) / (30_000 * 16384); math.Abs(share-1./3) > 0.01 {
			t.Errorf("stream %d got %.3f", id, share)
		}
	}

	// Weight 1 after a large frame, against short responses of weight 256.
	s = newTree()
	n = forest(s, "1:1")
	s.Ready(n[1])
	short := [2]Node{{ID: 3}, {ID: 5}}
	next := uint32(7)
	for i := range short {
		s.Open(&short[i], dep(0, 256))
		s.Ready(&short[i])
	}
	waited, longest := 0, 0
	for range 10_000 {
		x := s.Next()
		if x == n[1] {
			s.Sent(x, 65536)
			longest = max(longest, waited)
			waited = 0
			continue
		}
		s.Sent(x, 10_000)
		waited += 10_000
		s.Close(x)
		x.ID = next
		next += 2
		s.Open(x, dep(0, 256))
		s.Ready(x)
	}
	if longest == 0 || longest > 3*513*65536/2 || waited > 2*513*65536 {
		t.Errorf("weight 1 waited for %d octets, and then for %d", longest, waited)
	}
}

// A connection without open streams keeps little memory.
func TestTreeWithoutStreams(t *testing.T) {
	s := newTree()
	for i := range uint32(7) {
		s.Adjust(2*i+1, dep(0, int(i)+1))
	}
	nodes := make([]Node, 500)
	for i := range nodes {
		nodes[i].ID = uint32(2*i + 101)
		s.Open(&nodes[i], exclusive(nodes[i].ID-2, 16))
	}
	for i := range nodes {
		s.Close(&nodes[i])
	}
	// Beside the retained nodes those are kept on which two or more depend.
	if s.idle.n != 7 || s.closed.n != maxRetainedIdle || s.nodes.Len() >= 7+2*maxRetainedIdle ||
		s.peak > 4*maxRetainedIdle || len(s.pool.nodes) > maxPoolIdle || len(s.pool.siblings) > maxPoolIdle {
		t.Errorf("%d nodes of at most %d, %d nodes and %d siblings in the pool", s.nodes.Len(), s.peak,
			len(s.pool.nodes), len(s.pool.siblings))
	}
	checkTree(t, s)
}
