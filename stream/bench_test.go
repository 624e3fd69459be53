package stream

import (
	"fmt"
	"testing"
)

// All states that a request without content goes through on a server.
func BenchmarkOn(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		s := Idle
		for _, e := range [...]Event{RecvHeaders, RecvEndStream, SendHeaders, SendData, SendEndStream} {
			r := s.On(e)
			if r.Verdict != Allowed {
				b.Fatal(r.Verdict)
			}
			s = r.Next
		}
	}
}

// One stream is added and the oldest removed, in the table and in a map.
func BenchmarkTable(b *testing.B) {
	for _, live := range []uint32{1, 100, 10_000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			b.ReportAllocs()
			var table Table[*int]
			id := uint32(1)
			for range live {
				table.Put(id, nil)
				id += 2
			}
			for b.Loop() {
				table.Put(id, nil)
				table.Get(id)
				table.Delete(id - 2*live)
				id += 2
			}
		})
		b.Run(fmt.Sprintf("map/live=%d", live), func(b *testing.B) {
			b.ReportAllocs()
			m := map[uint32]*int{}
			id := uint32(1)
			for range live {
				m[id] = nil
				id += 2
			}
			for b.Loop() {
				m[id] = nil
				_ = m[id]
				delete(m, id-2*live)
				id += 2
			}
		})
	}
}

func BenchmarkTableGet(b *testing.B) {
	var table Table[*int]
	for id := uint32(1); id <= 200; id += 2 {
		table.Put(id, nil)
	}
	id := uint32(1)
	for b.Loop() {
		if _, ok := table.Get(id); !ok {
			b.Fatal("lost")
		}
		if id += 2; id > 200 {
			id = 1
		}
	}
}

// Identifiers that a hostile peer has chosen so that all of them collide.
func BenchmarkTableCollisions(b *testing.B) {
	for _, live := range []int{100, 250, 1000} {
		b.Run(fmt.Sprintf("live=%d", live), func(b *testing.B) {
			var table Table[*int]
			table.resize(2048)
			var last uint32
			for id := uint32(1); table.Len() < live; id += 2 {
				if table.hash(id) == 7 {
					table.Put(id, nil)
					last = id
				}
			}
			for b.Loop() {
				table.Get(last)
			}
		})
	}
}

func BenchmarkClosedStreamsAdd(b *testing.B) {
	b.ReportAllocs()
	var c ClosedStreams
	id := uint32(1)
	for b.Loop() {
		c.Add(id, ClosedEnd)
		id += 2
	}
}
