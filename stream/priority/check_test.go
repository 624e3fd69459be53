package priority

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// broken is a Scheduler that returns from Next what a test wants.
type broken struct {
	Scheduler
	next func() *Node
}

func (b *broken) Next() *Node { return b.next() }

// panicOf returns what f panics with, "" if it does not.
func panicOf(f func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}

func TestCheckFindsFaults(t *testing.T) {
	a, b := &Node{ID: 1}, &Node{ID: 3}
	var list []*Node // what Next returns, in turn
	b0 := &broken{NewRoundRobin(), func() *Node {
		n := list[0]
		list = list[1:]
		return n
	}}
	for _, tt := range []struct {
		name string
		next []*Node
		do   func(s Scheduler)
		want string
	}{
		{"nil", []*Node{nil}, func(s Scheduler) { s.Ready(a); s.Next() }, "nil while 1 streams are ready"},
		{"not ready", []*Node{b}, func(s Scheduler) { s.Ready(a); s.Next() }, "stream 3, which is not ready"},
		{"closed", []*Node{b}, func(s Scheduler) { s.Ready(b); s.Close(b); s.Next() }, "was closed"},
		{"another", []*Node{a, b}, func(s Scheduler) {
			s.Ready(a)
			s.Ready(b)
			s.Next()
			s.Next()
		}, "stream 1, and then stream 3"},
		{"opened twice", nil, func(s Scheduler) { s.Open(a, Params{}) }, "stream 1, which is open"},
		{"ready, not open", nil, func(s Scheduler) { s.Close(a); s.Ready(a) }, "stream 1, which is not open"},
		{"sent, not ready", nil, func(s Scheduler) { s.Sent(a, 1) }, "stream 1, which is not ready"},
		{"right", []*Node{nil, a, a, b, nil}, func(s Scheduler) {
			s.Next()
			s.Ready(a)
			s.Next()
			s.Next()
			s.Ready(b)
			s.Next()
			s.Unready(a)
			s.Unready(b)
			s.Next()
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list = tt.next
			*a, *b = Node{ID: 1}, Node{ID: 3}
			b0.Scheduler = NewRoundRobin()
			s := Check(b0)
			s.Open(a, Params{})
			s.Open(b, Params{})
			got := panicOf(func() { tt.do(s) })
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) ||
				got != "" && !strings.HasPrefix(got, "priority: Check: ") {
				t.Errorf("it panics with %q, want %q", got, tt.want)
			}
		})
	}
}

// The schedulers of this package keep the contract, and Check forwards their other methods.
func TestCheckPasses(t *testing.T) {
	for name, s := range map[string]Scheduler{
		"round robin": NewRoundRobin(), "extensible": NewExtensible(), "tree": NewTree(), "auto": NewAuto(),
	} {
		c := Check(s)
		if IgnoresTree(c) != IgnoresTree(s) {
			t.Errorf("%s: IgnoresTree is %v", name, IgnoresTree(c))
		}
		rng := rand.New(rand.NewPCG(1, 2))
		nodes := make([]Node, 20)
		for i := range nodes {
			nodes[i].ID = uint32(2*i + 1)
			c.Open(&nodes[i], Params{})
		}
		for range 20_000 {
			n := &nodes[rng.IntN(len(nodes))]
			p := Params{Extensible: rng.IntN(2) == 0, Urgency: uint8(rng.IntN(8)), Incremental: rng.IntN(2) == 0}
			p.Tree, p.DependsOn, p.Weight = rng.IntN(2) == 0, uint32(2*rng.IntN(20)+1), uint8(rng.IntN(256))
			switch rng.IntN(6) {
			case 0:
				c.Ready(n)
			case 1:
				c.Unready(n)
			case 2:
				c.Adjust(n.ID, p)
			case 3:
				Decide(c, n.ID, p)
			default:
				if n := c.Next(); n != nil {
					c.Sent(n, rng.IntN(1<<14))
				}
			}
		}
		for i := range nodes {
			c.Close(&nodes[i])
		}
		if n := c.Next(); n != nil {
			t.Errorf("%s: stream %d is next when all are closed", name, n.ID)
		}
	}
}
