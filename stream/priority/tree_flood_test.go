package priority

import (
	"math/rand/v2"
	"testing"
	"time"
)

func (x *treeNode) height() int {
	h := 0
	for _, child := range x.children.members() {
		h = max(h, 1+child.height())
	}
	return h
}

// A chain of streams that are all open keeps its order down to the maximum depth, and costs no more
// however long it is.
func TestTreeDepth(t *testing.T) {
	const streams = 2000
	s := newTree()
	nodes := make([]*Node, streams)
	for i := range nodes {
		nodes[i] = &Node{ID: uint32(2*i + 1)}
		s.Open(nodes[i], dep(uint32(max(2*i-1, 0)), 1+i%256))
	}
	for i := range nodes {
		s.Ready(nodes[len(nodes)-1-i])
	}
	if h := s.root.height(); h > maxDepth {
		t.Errorf("the tree is %d deep", h)
	}
	for i := range maxDepth - 1 {
		if n := s.Next(); n != nodes[i] {
			t.Fatalf("stream %d sends, want %d", n.ID, nodes[i].ID)
		}
		s.Sent(nodes[i], 16384)
		s.Unready(nodes[i])
	}
	checkTree(t, s)

	// Browsers chain what they load, one below the other, and close the streams that are done. The
	// order of the open streams is kept.
	s = newTree()
	for i := range nodes[:500] {
		nodes[i] = &Node{ID: uint32(2*i + 1)}
		s.Open(nodes[i], exclusive(uint32(max(2*i-1, 0)), 256))
		if i >= 110 {
			s.Close(nodes[i-110])
		}
	}
	for i := range nodes[:500] {
		if n := nodes[499-i]; n.open {
			s.Ready(n)
		}
	}
	for i := range 110 {
		if n := s.Next(); n != nodes[390+i] {
			t.Fatalf("stream %d sends, want %d", n.ID, nodes[390+i].ID)
		}
		s.Sent(nodes[390+i], 16384)
		s.Unready(nodes[390+i])
	}
	checkTree(t, s)
}

var treeFloodTests = map[string]func(rng *rand.Rand, i uint32) (uint32, Params){
	"idle streams": func(_ *rand.Rand, i uint32) (uint32, Params) { return 100_001 + 2*i, dep(0, 16) },
	"a chain":      func(_ *rand.Rand, i uint32) (uint32, Params) { return 100_003 + 2*i, dep(100_001+2*i, 16) },
	"an exclusive chain": func(_ *rand.Rand, i uint32) (uint32, Params) {
		return 100_003 + 2*i, exclusive(0, 16)
	},
	"all change parents": func(_ *rand.Rand, i uint32) (uint32, Params) {
		return 1 + 2*(i%2),
			exclusive(0, 1+int(i%256))
	},
	"all change parents, with a chain": func(_ *rand.Rand, i uint32) (uint32, Params) {
		return 1 + 2*(i%300), exclusive(1+2*((i+1)%300), 16)
	},
	"one chain of open streams": func(_ *rand.Rand, i uint32) (uint32, Params) {
		return 3 + 2*(i%9000), dep(1+2*(i%9000), 16)
	},
	"in circles": func(_ *rand.Rand, i uint32) (uint32, Params) {
		return 1 + 2*(i%5000), dep(1+2*((i+4999)%5000), 16)
	},
	"random": func(rng *rand.Rand, _ uint32) (uint32, Params) {
		p := dep(uint32(rng.IntN(20_300)), 1+rng.IntN(256))
		p.Exclusive = rng.IntN(3) == 0
		return uint32(rng.IntN(20_300)), p
	},
}

// 100,000 PRIORITY frames, made to cost as much as possible: time and memory are bounded.
func TestTreeFlood(t *testing.T) {
	const frames = 100_000
	for name, attack := range treeFloodTests {
		t.Run(name, func(t *testing.T) {
			s := newTree()
			nodes := open(s, 10_000)
			rng := rand.New(rand.NewPCG(1, 17))
			start := time.Now()
			for i := range uint32(frames) {
				id, p := attack(rng, i)
				s.Adjust(id, p)
				if i%8 == 0 { // the server sends
					n := s.Next()
					s.Sent(n, 16384)
					s.Unready(n)
					s.Ready(n)
				}
				if i%1000 == 0 { // a stream becomes ready
					n := nodes[rng.IntN(len(nodes))]
					s.Unready(n)
					s.Ready(n)
				}
			}
			took := time.Since(start)
			t.Logf("%v for each frame, %d deep", took/frames, s.root.height())
			if took > 20*time.Second {
				t.Errorf("%d frames took %v", frames, took)
			}
			if n := s.nodes.Len(); n > 2*(10_000+2*maxRetained) || len(s.pool.nodes) > maxPool ||
				len(s.pool.siblings) > maxPool {
				t.Errorf("%d nodes are kept; %d nodes and %d siblings in the pool", n, len(s.pool.nodes), len(s.pool.siblings))
			}
			checkTree(t, s)
		})
	}
}
