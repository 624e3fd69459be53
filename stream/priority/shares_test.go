package priority

import (
	"math"
	"testing"
)

// wantedShare is a stream that always has something to send, and the share that it must get.
type wantedShare struct {
	id     uint32
	params Params
	frame  int     // octets of payload; 0 is a full frame
	share  float64 // of all octets
}

// checkShares lets the streams compete until total octets are sent, and fails when one of them
// differs from its share by more than 2 % of it.
func checkShares(t *testing.T, s Scheduler, total int, shares []wantedShare) {
	t.Helper()
	sent := make(map[*Node]int)
	frames := make(map[*Node]int)
	nodes := make([]*Node, len(shares))
	for i, c := range shares {
		n := &Node{ID: c.id}
		nodes[i] = n
		s.Open(n, c.params)
		frames[n] = c.frame
		if c.frame == 0 {
			frames[n] = 16384
		}
	}
	for _, n := range nodes {
		s.Ready(n)
	}
	sum := 0
	for sum < total {
		n := s.Next()
		if n == nil {
			t.Fatal("no stream is ready")
		}
		s.Sent(n, frames[n])
		sent[n] += frames[n] + frameHeader
		sum += frames[n] + frameHeader
	}
	for i, c := range shares {
		got := float64(sent[nodes[i]]) / float64(sum)
		if math.Abs(got-c.share) > 0.02*c.share {
			t.Errorf("stream %d got %.4f of the octets, want %.4f", c.id, got, c.share)
		}
	}
}
