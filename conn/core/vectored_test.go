package core

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// vectoredServer is a server with open streams 1, 3 and 5 that have queued bodies, the last of them
// kept, and 7.
func vectoredServer(t *testing.T, change func(*Config)) Driver {
	t.Helper()
	p := newPeer(t, Server, change)
	p.send(frame.WindowUpdate{Increment: 1 << 22})
	for _, id := range []uint32{1, 3, 5, 7} {
		p.send(h2test.GetOpen(id), frame.WindowUpdate{StreamID: id, Increment: 1 << 22})
		p.answer(id, false)
	}
	for i, n := range []int{100_000, 3000, 50_000} {
		id := uint32(2*i + 1)
		body := bytes.Repeat([]byte{byte(id)}, n)
		if err := p.c.Queue(p.stream(id), Content{Data: body, End: true}); err != nil {
			t.Fatal(err)
		}
	}
	p.c.Keep(p.stream(5))
	return p.c
}

// The segments are, at their offsets, what Fill copies.
func TestFillVectored(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"plain":  func(*Config) {},
		"padded": func(c *Config) { c.Padding = func(frame.Header) int { return 7 } },
	} {
		t.Run(name, func(t *testing.T) {
			copied, vectored := vectoredServer(t, change), vectoredServer(t, change)
			for _, limit := range []int{1, 40_000, 60_000, 1 << 20} {
				copied.Fill(limit)
				want := copied.Output(nil)
				segments := vectored.FillVectored(limit, nil)
				b := vectored.Output(nil)
				var got []byte
				from := 0
				for _, l := range segments {
					got = append(append(got, b[from:l.Offset]...), l.Data...)
					from = l.Offset
					if (l.Stream == nil) != (l.Data[0] == 5) {
						t.Errorf("stream %d has borrowed what is not the caller's, or the other way round", l.Data[0])
					}
				}
				got = append(got, b[from:]...)
				if !bytes.Equal(got, want) {
					t.Errorf("limit %d: %d octets, not the %d that Fill gives", limit, len(got), len(want))
				}
				if name == "plain" && limit > 1000 && len(segments) == 0 || name == "padded" && len(segments) > 0 {
					t.Errorf("limit %d: %d segments", limit, len(segments))
				}
				if copied.Counts() != vectored.Counts() {
					t.Errorf("limit %d: counts are %+v, want %+v", limit, vectored.Counts(), copied.Counts())
				}
			}
		})
	}
}

func TestFillVectoredAllocatesNothing(t *testing.T) {
	c := vectoredServer(t, func(*Config) {})
	s, _ := c.streams.Get(7)
	c.Fill(1 << 20)
	c.Output(nil)
	body, segments, out := make([]byte, 20_000), make([]Segment, 0, 10), make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() {
		c.SetTime(time.Unix(1, 0))
		if err := c.Queue(s, Content{Data: body}); err != nil {
			t.Fatal(err)
		}
		segments = c.FillVectored(1<<20, segments[:0])
		out = c.Output(out)
		for _, ok := c.NextEvent(); ok; _, ok = c.NextEvent() {
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
