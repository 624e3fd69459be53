package priority

import (
	"fmt"
	"testing"
)

// One frame of a body among many streams: Next and Sent.
func BenchmarkRoundRobinFrame(b *testing.B) {
	for _, streams := range []int{1, 100, 10_000} {
		for _, bytes := range []int{100, 16384} {
			b.Run(fmt.Sprintf("streams=%d/bytes=%d", streams, bytes), func(b *testing.B) {
				b.ReportAllocs()
				s := NewRoundRobin()
				open(s, streams)
				for b.Loop() {
					s.Sent(s.Next(), bytes)
				}
			})
		}
	}
}

// A whole short response: Open, Ready, Next, Sent, Close.
func BenchmarkRoundRobinStream(b *testing.B) {
	b.ReportAllocs()
	s := NewRoundRobin()
	open(s, 99)
	var n Node
	for b.Loop() {
		s.Open(&n, Params{})
		s.Ready(&n)
		s.Sent(s.Next(), 100)
		s.Close(&n)
	}
}
