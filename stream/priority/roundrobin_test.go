package priority

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// open returns n ready streams 1, 3, 5…
func open(s Scheduler, n int) []*Node {
	nodes := make([]*Node, n)
	for i := range nodes {
		nodes[i] = &Node{ID: uint32(2*i + 1)}
		s.Open(nodes[i], Params{})
		s.Ready(nodes[i])
	}
	return nodes
}

// order returns the identifiers of the streams that send the next n frames, each of bytes octets.
func order(s Scheduler, n, bytes int) []uint32 {
	var ids []uint32
	for range n {
		next := s.Next()
		ids = append(ids, next.ID)
		s.Sent(next, bytes)
	}
	return ids
}

func TestRoundRobinTakesTurns(t *testing.T) {
	s := NewRoundRobin()
	if s.Next() != nil {
		t.Fatal("no stream is open")
	}
	open(s, 3)
	want := []uint32{1, 3, 5, 1, 3, 5, 1}
	if got := order(s, 7, 16384); !slices.Equal(got, want) {
		t.Errorf("full frames: %v, want %v", got, want)
	}
	// Half frames, two a turn.
	s = NewRoundRobin()
	open(s, 2)
	want = []uint32{1, 1, 3, 3, 1, 1, 3, 3}
	if got := order(s, 8, 8192); !slices.Equal(got, want) {
		t.Errorf("half frames: %v, want %v", got, want)
	}
}

func TestRoundRobinNextChangesNothing(t *testing.T) {
	s := NewRoundRobin()
	open(s, 2)
	for range 10 {
		if n := s.Next(); n.ID != 1 {
			t.Fatalf("Next = %d before anything was sent, want 1", n.ID)
		}
	}
}

func TestRoundRobinReadyGoesBehind(t *testing.T) {
	s := NewRoundRobin()
	n := open(s, 3)
	s.Next()
	s.Unready(n[0]) // in its turn
	s.Unready(n[0])
	s.Unready(n[2]) // out of turn
	s.Ready(n[2])
	s.Ready(n[0])
	s.Ready(n[0]) // again, which changes nothing
	want := []uint32{3, 5, 1, 3, 5, 1}
	if got := order(s, 6, 16384); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	s.Close(n[1])
	s.Close(n[1])
	s.Unready(n[1])
	want = []uint32{5, 1, 5, 1}
	if got := order(s, 4, 16384); !slices.Equal(got, want) {
		t.Errorf("order after Close %v, want %v", got, want)
	}
	s.Close(n[0])
	s.Unready(n[2])
	if next := s.Next(); next != nil {
		t.Errorf("Next = %d, no stream is ready", next.ID)
	}
	s.Sent(n[2], 100) // no stream has its turn
	s.Ready(n[2])
	if next := s.Next(); next != n[2] {
		t.Errorf("Next = %v, want stream 5", next)
	}
	s.Open(n[0], Params{}) // a Node may be used again
	s.Ready(n[0])
}

func TestRoundRobinAdjust(t *testing.T) {
	s := NewRoundRobin()
	open(s, 2)
	s.Adjust(3, Params{Extensible: true, Urgency: 0})
	s.Adjust(99, Params{Tree: true, DependsOn: 3, Exclusive: true})
	want := []uint32{1, 3, 1, 3}
	if got := order(s, 4, 16384); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
}

// share runs streams with the given frame sizes until total octets are sent, and returns how many
// octets each of them sent, frame headers included.
func share(t *testing.T, total int, size func(stream int) int, streams int) []int {
	t.Helper()
	s := NewRoundRobin()
	nodes := open(s, streams)
	sent := make([]int, streams)
	for sum := 0; sum < total; {
		n := s.Next()
		i := slices.Index(nodes, n)
		bytes := size(i)
		s.Sent(n, bytes)
		sent[i] += bytes + 9
		sum += bytes + 9
	}
	return sent
}

// fair fails unless all shares differ by no more than slack octets.
func fair(t *testing.T, sent []int, slack int) {
	t.Helper()
	if least, most := slices.Min(sent), slices.Max(sent); most-least > slack {
		t.Errorf("shares %v differ by %d octets, want at most %d", sent, most-least, slack)
	}
}

func TestRoundRobinSharesByOctets(t *testing.T) {
	// From one octet a frame to four times the turn.
	sizes := []int{1, 100, 1000, 16384, 65536}
	sent := share(t, 50<<20, func(i int) int { return sizes[i] }, len(sizes))
	fair(t, sent, 2*(65536+quantum))

	rng := rand.New(rand.NewPCG(1, 2))
	sent = share(t, 50<<20, func(i int) int { return rng.IntN(1 + 1<<(2*i)) }, 9)
	fair(t, sent, 2*(65536+quantum))
}

// A stream that is written in pieces, and so is not always ready, gets no less and no more than one
// that always is.
func TestRoundRobinStopAndGo(t *testing.T) {
	for _, chunk := range []int{16384, 20000, 40000} {
		s := NewRoundRobin()
		nodes := open(s, 3)
		sent := make([]int, len(nodes))
		left := chunk
		for range 100_000 {
			n := s.Next()
			i := slices.Index(nodes, n)
			size := 16384
			if i == 0 {
				size = min(size, left)
				left -= size
			}
			s.Sent(n, size)
			sent[i] += size + 9
			if i == 0 && left == 0 {
				s.Unready(n)
				left = chunk
				s.Ready(n)
			}
		}
		if r := float64(sent[0]) / float64(sent[1]); r < 0.6 || r > 1.01 {
			t.Errorf("chunks of %d: stop and go got %.2f of a steady stream's share", chunk, r)
		}
	}
}

// A stream that was the only one has no deficit when another one comes.
func TestRoundRobinAloneHasNoDeficit(t *testing.T) {
	s := NewRoundRobin()
	n := open(s, 1)
	for range 1000 {
		s.Sent(s.Next(), 1<<20)
	}
	s.Next()
	b := &Node{ID: 3}
	s.Open(b, Params{})
	s.Ready(b)
	want := []uint32{1, 3, 1, 3}
	if got := order(s, 4, 16384); !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}
	if n[0].credit < -quantum {
		t.Errorf("stream 1 has a deficit of %d", -n[0].credit)
	}
}

// Random calls, against a slow and simple model of which streams Next may return.
func TestRoundRobinRandom(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 3))
		s := NewRoundRobin()
		nodes := open(s, 8)
		isOpen := [8]bool{true, true, true, true, true, true, true, true}
		ready := isOpen
		wait := [8]int{} // octets that others sent while this one was ready
		for step := range 3000 {
			i := rng.IntN(8)
			n := nodes[i]
			switch rng.IntN(12) {
			case 0:
				s.Close(n)
				isOpen[i], ready[i] = false, false
			case 1:
				if !isOpen[i] {
					s.Open(n, Params{})
					isOpen[i] = true
				}
			case 2, 3:
				if isOpen[i] {
					s.Ready(n)
					ready[i] = true
				}
			case 4:
				s.Unready(n)
				ready[i] = false
			default:
				next := s.Next()
				if next == nil {
					if slices.Contains(ready[:], true) {
						t.Fatalf("seed %d, step %d: Next is nil, ready %v", seed, step, ready)
					}
					continue
				}
				k := slices.Index(nodes, next)
				if !ready[k] {
					t.Fatalf("seed %d, step %d: stream %d is not ready", seed, step, next.ID)
				}
				bytes := rng.IntN(16385)
				s.Sent(next, bytes)
				for j := range wait {
					wait[j] += bytes + 9
				}
				wait[k] = 0
			}
			for j := range wait {
				if !ready[j] {
					wait[j] = 0
				}
				// At most two turns of seven others, each up to a turn and a frame.
				if wait[j] > 2*7*2*quantum {
					t.Fatalf("seed %d, step %d: stream %d waited for %d octets", seed, step, nodes[j].ID, wait[j])
				}
			}
		}
	}
}
