package main

import (
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
)

// A use is what a peer, and the process that makes the load if that is not nil, have used between
// startUse and end.
type use struct {
	peer, load *bench.Process

	cpu, loadCPU  time.Duration
	reads, writes int64 // system calls of the peer
}

func startUse(peer, load *bench.Process) (*use, error) {
	u := &use{peer: peer, load: load}
	return u, u.add(-1)
}

func (u *use) end() error { return u.add(1) }

// add adds what has been used until now, sign times.
func (u *use) add(sign int64) error {
	reads, writes := u.peer.Calls()
	u.reads += sign * reads
	u.writes += sign * writes
	cpu, err := u.peer.CPU()
	if err != nil {
		return err
	}
	u.cpu += time.Duration(sign) * cpu
	if u.load == nil {
		return nil
	}
	cpu, err = u.load.CPU()
	u.loadCPU += time.Duration(sign) * cpu
	return err
}

// cost returns the figures of n requests, with bodies of size octets; 0 where those do not count.
func cost(n int, size int64, took, cpu, loadCPU time.Duration) figures {
	m := figures{"requests": float64(n)}
	m.set(cpuPerRequest, 1e6*cpu.Seconds()/float64(n))
	m.set(perSecond, float64(n)/took.Seconds())
	m.set(ownShare, cpu.Seconds()/took.Seconds())
	m.set(loadShare, loadCPU.Seconds()/took.Seconds())
	if octets := float64(n) * float64(size); octets > 0 {
		m.set(cpuPerGB, 1e9*cpu.Seconds()/octets)
		m.set(throughput, octets/1e6/took.Seconds())
	}
	return m
}

// warm makes n requests, and more for a twelfth of a round or as long as the peer needs. It returns
// how many fill a round, a multiple of step.
func (l *runner) warm(p peer, n, step int, do func(n int) (time.Duration, error)) (int, error) {
	for _, share := range []float64{max(l.seconds/12, p.warm), l.seconds} {
		took, err := do(n)
		if err != nil {
			return 0, err
		}
		n = max(n, int(share*float64(n)/took.Seconds())/step*step)
	}
	return n, nil
}
