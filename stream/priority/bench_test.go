package priority

import (
	"fmt"
	"testing"
)

// benched has the schedulers, with priorities that use their data structures.
var benched = []struct {
	name   string
	make   func() Scheduler
	params func(id uint32) Params
}{
	{"RoundRobin", NewRoundRobin, func(uint32) Params { return Params{} }},
	{"AutoFair", NewAuto, func(uint32) Params { return Params{} }},
	{"Queue", NewExtensible, func(uint32) Params { return ext(3, false) }},
	{"Incremental", NewExtensible, func(uint32) Params { return ext(3, true) }},
	{"TreeWide", NewTree, func(id uint32) Params { return dep(0, 1+int(id%256)) }},
	{"TreeBinary", NewTree, func(id uint32) Params { return dep((id-1)/4*2|1, 1+int(id%256)) }},
}

// One frame of a body among many streams: Next and Sent.
func BenchmarkFrame(b *testing.B) {
	each(b, func(b *testing.B, s Scheduler, nodes []*Node, _ func(uint32) Params) {
		for b.Loop() {
			s.Sent(s.Next(), 16384)
		}
	})
}

// One frame of a stream at the end of a chain of streams that are not ready.
func BenchmarkTreeDeepFrame(b *testing.B) {
	for _, depth := range []int{1, 10, 128} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			b.ReportAllocs()
			s := NewTree()
			nodes := make([]Node, depth)
			for i := range nodes {
				nodes[i].ID = uint32(2*i + 1)
				s.Open(&nodes[i], dep(uint32(max(0, 2*i-1)), 16))
			}
			s.Ready(&nodes[depth-1])
			for b.Loop() {
				s.Sent(s.Next(), 16384)
			}
		})
	}
}

// A stream that is written in pieces: Ready, Next, Sent, Unready.
func BenchmarkStopAndGo(b *testing.B) {
	each(b, func(b *testing.B, s Scheduler, nodes []*Node, _ func(uint32) Params) {
		i := 0
		for b.Loop() {
			n := nodes[i%len(nodes)]
			i += 7
			s.Unready(n)
			s.Ready(n)
			s.Sent(s.Next(), 1000)
		}
	})
}

// A whole short response: Open, Ready, Next, Sent, Close.
func BenchmarkStream(b *testing.B) {
	each(b, func(b *testing.B, s Scheduler, nodes []*Node, params func(uint32) Params) {
		var n Node
		n.ID = nodes[len(nodes)-1].ID
		for b.Loop() {
			n.ID += 2
			s.Open(&n, params(n.ID))
			s.Ready(&n)
			s.Sent(s.Next(), 100)
			s.Close(&n)
		}
	})
}

// One change of a priority: Adjust.
func BenchmarkAdjust(b *testing.B) {
	each(b, func(b *testing.B, s Scheduler, nodes []*Node, params func(uint32) Params) {
		i := 0
		for b.Loop() {
			n := nodes[i%len(nodes)]
			i += 7
			p := params(n.ID)
			p.Urgency, p.Weight = uint8(i%8), uint8(i)
			s.Adjust(n.ID, p)
		}
	})
}

func each(b *testing.B, f func(b *testing.B, s Scheduler, nodes []*Node, params func(uint32) Params)) {
	for _, scheduler := range benched {
		for _, streams := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprintf("%s/streams=%d", scheduler.name, streams), func(b *testing.B) {
				b.ReportAllocs()
				s := scheduler.make()
				nodes := make([]*Node, streams)
				for i := range nodes {
					nodes[i] = &Node{ID: uint32(2*i + 1)}
					s.Open(nodes[i], scheduler.params(nodes[i].ID))
					s.Ready(nodes[i])
				}
				f(b, s, nodes, scheduler.params)
			})
		}
	}
}
