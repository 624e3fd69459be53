package flow

import (
	"math"
	"testing"
	"time"
)

var bdpEpoch = time.Unix(1_000_000_000, 0)

// A path simulates an endless sender, a network path of some rate and round-trip time, and a
// reader, as the receiving endpoint sees them.
type path struct {
	rate   float64 // octets a second
	rtt    time.Duration
	reader float64 // octets a second that are consumed at most; 0: all that arrive
	bdp    BDPEstimator
	sample BDPSample
	win    RecvWindow
	now    time.Time

	credit    []grant   // credit that the sender has or will have, in order
	free      time.Time // when the path can carry the next octet
	maxGrowth uint32    // octets by which the window may still grow
	pings     int       // measurements of the round-trip time
}

type grant struct {
	at time.Time // when the first octet that it allows can arrive
	n  uint32
}

func newPath(rate float64, rtt time.Duration, size, maxGrowth uint32) *path {
	p := &path{rate: rate, rtt: rtt, win: NewRecvWindow(size), now: bdpEpoch, maxGrowth: maxGrowth}
	p.bdp.PingSent(p.now)
	p.now = p.now.Add(rtt)
	p.bdp.PingAcked(p.now)
	p.credit = []grant{{p.now, size}}
	p.free = p.now
	return p
}

// run lets octets arrive for the time d, and returns how many did.
func (p *path) run(d time.Duration) (moved float64) {
	const frame = 16 << 10
	end := p.now.Add(d)
	for len(p.credit) > 0 {
		g := &p.credit[0]
		n := min(g.n, frame)
		p.free = later(p.free, g.at).Add(seconds(float64(n) / p.rate))
		if p.free.After(end) {
			break
		}
		if g.n -= n; g.n == 0 {
			p.credit = p.credit[1:]
		}
		p.now = p.free
		if p.bdp.DataReceived(&p.sample, 1000, p.now) {
			p.pings++
			p.bdp.PingSent(p.now)
			p.bdp.PingAcked(p.now.Add(p.rtt))
		}
		p.win.Receive(n)
		if p.reader > 0 {
			p.now = later(p.now, p.now.Add(seconds(float64(n)/p.reader)))
			p.free = p.now
		}
		p.read(n)
		moved += float64(n)
	}
	p.now = later(p.now, end)
	return moved
}

func (p *path) read(n uint32) {
	inc := p.win.Release(n)
	if p.bdp.Consumed(&p.sample, &p.win, n) {
		grown, more := p.bdp.Grow(&p.sample, &p.win, p.maxGrowth, p.now)
		p.maxGrowth -= grown
		inc += more
	}
	if inc > 0 {
		p.credit = append(p.credit, grant{p.now.Add(p.rtt), inc})
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// A window grows to a few times the bandwidth-delay product, and keeps that size.
func TestBDPFindsThePath(t *testing.T) {
	const gbit = 125_000_000
	for _, tt := range []struct {
		name   string
		rate   float64
		rtt    time.Duration
		size   uint32
		factor float64 // of bandwidth times delay that the size must stay below
	}{
		{"1 Gbit/s, 100 ms", gbit, 100 * time.Millisecond, 512 << 10, 3},
		{"10 Gbit/s, 10 ms", 10 * gbit, 10 * time.Millisecond, 512 << 10, 3},
		{"100 Mbit/s, 300 ms", gbit / 10, 300 * time.Millisecond, 512 << 10, 3},
		{"100 Mbit/s, 30 ms: 375 kB", gbit / 10, 30 * time.Millisecond, 64 << 10, 3},
		{"1 Mbit/s, 1 s: a sample period is eight frames", gbit / 1000, time.Second, 65535, 4.2},
		{"large from the beginning", gbit, 10 * time.Millisecond, 4 << 20, 4},
		{"1 Gbit/s, 1 ms", gbit, time.Millisecond, 512 << 10, 4.2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPath(tt.rate, tt.rtt, tt.size, 1<<30)
			p.run(20 * tt.rtt)
			bdp := tt.rate * tt.rtt.Seconds()
			size := float64(p.win.Size())
			if size < 1.2*bdp || size > tt.factor*bdp+32<<10 {
				t.Errorf("the window has %.0f octets, the path %.0f", size, bdp)
			}
			want := tt.rate * (20 * tt.rtt).Seconds()
			if moved := p.run(20 * tt.rtt); moved < 0.95*want {
				t.Errorf("%.0f octets moved of %.0f", moved, want)
			}
			p.run(200 * tt.rtt)
			if now := float64(p.win.Size()); now != size {
				t.Errorf("the size went on from %.0f to %.0f", size, now)
			}
		})
	}
}

func TestBDPStaysWithinMaxGrowth(t *testing.T) {
	p := newPath(1e9, 100*time.Millisecond, 1<<16, 1<<20)
	p.run(time.Minute)
	if got := p.win.Size(); got != 1<<16+1<<20 {
		t.Errorf("the window has %d octets, want growth up to %d", got, 1<<16+1<<20)
	}
}

// The reader, not the window, limits the peer.
func TestBDPSlowReader(t *testing.T) {
	p := newPath(1e9, 100*time.Millisecond, 1<<20, 1<<30)
	p.reader = 5e6 // half a window in a round trip
	p.run(time.Minute)
	if got := p.win.Size(); got != 1<<20 {
		t.Errorf("the window of a slow reader has become %d octets", got)
	}
}

// A reader that takes a full window at once after each pause is slow, too.
func TestBDPPausingReader(t *testing.T) {
	p := newPath(1e9, 100*time.Millisecond, 1<<20, 1<<30)
	for range 100 {
		p.bdp.DataReceived(&p.sample, 0, p.now)
		n := uint32(p.win.Available())
		p.win.Receive(n)
		p.now = p.now.Add(time.Second)
		p.read(n)
	}
	if got := p.win.Size(); got != 1<<20 {
		t.Errorf("the window has become %d octets", got)
	}
}

func TestBDPWithoutRTT(t *testing.T) {
	var e BDPEstimator
	var sample BDPSample
	w := NewRecvWindow(1000)
	e.PingAcked(bdpEpoch) // without a PingSent
	e.PingSent(bdpEpoch)
	e.PingAcked(bdpEpoch) // in 0 s
	e.PingAcked(bdpEpoch.Add(time.Second))
	if e.RTT() != 0 {
		t.Fatalf("RTT = %v", e.RTT())
	}
	for range 10 {
		if e.DataReceived(&sample, 0, bdpEpoch) {
			t.Error("a PING without a round-trip time")
		}
		w.Receive(1000)
		w.Release(1000)
		if e.Consumed(&sample, &w, 1000) {
			t.Error("Consumed asks for Grow without a round-trip time")
		}
		if grown, inc := e.Grow(&sample, &w, 1000, bdpEpoch); grown != 0 || inc != 0 {
			t.Error("growth without a round-trip time")
		}
	}
}

func TestBDPRTT(t *testing.T) {
	var e BDPEstimator
	now := bdpEpoch
	for _, tt := range []struct{ answer, want time.Duration }{
		{80 * time.Millisecond, 80 * time.Millisecond},
		{40 * time.Millisecond, 40 * time.Millisecond},             // shorter: at once
		{56 * time.Millisecond, 42 * time.Millisecond},             // longer: an eighth of the way
		{time.Hour, 42*time.Millisecond + 3958*time.Millisecond/8}, // 4 s at most
		{-time.Second, 0}, // a clock that was set back
	} {
		e.PingSent(now)
		now = now.Add(tt.answer)
		e.PingAcked(now)
		if e.RTT() != tt.want {
			t.Errorf("after %v: RTT = %v, want %v", tt.answer, e.RTT(), tt.want)
		}
	}
}

func TestBDPPingsSeldom(t *testing.T) {
	p := newPath(1e8, 50*time.Millisecond, 1<<20, 1<<30)
	p.run(time.Second)
	if p.pings != 1 {
		t.Errorf("%d PINGs in the first second", p.pings)
	}
	p.run(time.Minute)
	if p.pings < 6 || p.pings > 7 {
		t.Errorf("%d PINGs in a minute", p.pings)
	}

	var e BDPEstimator
	var sample BDPSample
	e.PingSent(bdpEpoch)
	e.PingAcked(bdpEpoch.Add(time.Millisecond))
	w := NewRecvWindow(1 << 20)
	now := bdpEpoch
	for range 3 { // sample periods in which little is consumed
		now = now.Add(time.Second)
		if e.DataReceived(&sample, 1000, now) {
			t.Error("a PING after 999 octets")
		}
		e.Consumed(&sample, &w, 999)
	}
	e.Consumed(&sample, &w, 1)
	now = now.Add(time.Second)
	if !e.DataReceived(&sample, 1000, now) {
		t.Fatal("no PING after 1000 octets")
	}
	e.PingSent(now)
	for range 100 {
		now = now.Add(time.Minute)
		e.Consumed(&sample, &w, 1<<20)
		if e.DataReceived(&sample, 1000, now) {
			t.Fatal("a second PING before the first is acknowledged")
		}
	}
}

// The arithmetic holds whenever a PING is acknowledged, and whatever is consumed.
func FuzzBDP(f *testing.F) {
	f.Add(int64(time.Hour), uint32(1<<30), uint32(MaxWindow), int64(1), uint32(math.MaxUint32))
	f.Add(int64(1), uint32(1), uint32(0), int64(0), uint32(0))
	f.Fuzz(func(t *testing.T, rtt int64, size, maxGrowth uint32, step int64, n uint32) {
		size, maxGrowth = size%(MaxWindow+1), maxGrowth%(MaxWindow+1)
		var e BDPEstimator
		var sample BDPSample
		w := NewRecvWindow(size)
		e.PingSent(bdpEpoch)
		now := bdpEpoch.Add(time.Duration(rtt))
		e.PingAcked(now)
		left := maxGrowth
		for range 20 {
			e.DataReceived(&sample, 1, now)
			now = now.Add(time.Duration(step))
			e.Consumed(&sample, &w, n)
			before := w.Size()
			grown, _ := e.Grow(&sample, &w, left, now)
			if grown > left || w.Size() != before+grown {
				t.Fatalf("grown by %d from %d to %d, at most %d allowed", grown, before, w.Size(), left)
			}
			left -= grown
		}
		if w.Size() > MaxWindow || uint64(w.Size()) > uint64(size)+uint64(maxGrowth) || e.RTT() < 0 || e.RTT() > maxRTT {
			t.Fatalf("size %d of %d+%d, RTT %v", w.Size(), size, maxGrowth, e.RTT())
		}
	})
}
