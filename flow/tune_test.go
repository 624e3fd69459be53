package flow

import (
	"math"
	"testing"
	"time"
)

var tuneEpoch = time.Unix(1_000_000_000, 0)

// A path is a sender without end, a path of some rate and round-trip time, and a reader, seen from the reader's side.
type path struct {
	rate   float64 // octets a second
	rtt    time.Duration
	reader float64 // octets a second that are consumed at most; 0: as they come
	tuner  Tuner
	meter  Meter
	win    RecvWindow
	now    time.Time

	credit []grant // WINDOW_UPDATEs on their way, and the octets that answer them
	free   time.Time
	most   uint32 // what may be grown by
	asks   int
}

type grant struct {
	at time.Time // when the first octet that it allows can arrive
	n  uint32
}

func newPath(rate float64, rtt time.Duration, size, most uint32) *path {
	p := &path{rate: rate, rtt: rtt, win: NewRecvWindow(size), now: tuneEpoch, most: most}
	p.tuner.Asked(p.now)
	p.now = p.now.Add(rtt)
	p.tuner.Answered(p.now)
	p.credit = []grant{{p.now, size}}
	p.free = p.now
	return p
}

// run lets octets arrive for some time, and returns how many have.
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
		if p.tuner.Arrived(&p.meter, 1000, p.now) {
			p.asks++
			p.tuner.Asked(p.now)
			p.tuner.Answered(p.now.Add(p.rtt))
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
	if p.tuner.Consumed(&p.meter, &p.win, n) {
		grown, more := p.tuner.Grow(&p.meter, &p.win, p.most, p.now)
		p.most -= grown
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

// A window grows to a few times of what the path carries in a round trip, and there it stays.
func TestTunerFindsThePath(t *testing.T) {
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
		{"1 Mbit/s, 1 s: a round is eight frames", gbit / 1000, time.Second, 65535, 4.2},
		{"large from the beginning", gbit, 10 * time.Millisecond, 4 << 20, 4},
		{"a house", gbit, time.Millisecond, 512 << 10, 4.2},
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

func TestTunerStaysWithinItsRoom(t *testing.T) {
	p := newPath(1e9, 100*time.Millisecond, 1<<16, 1<<20)
	p.run(time.Minute)
	if got := p.win.Size(); got != 1<<16+1<<20 {
		t.Errorf("the window has %d octets, with room for %d", got, 1<<16+1<<20)
	}
}

// The reader, not the window, is what keeps the peer waiting.
func TestTunerSlowReader(t *testing.T) {
	p := newPath(1e9, 100*time.Millisecond, 1<<20, 1<<30)
	p.reader = 5e6 // half a window in a round trip
	p.run(time.Minute)
	if got := p.win.Size(); got != 1<<20 {
		t.Errorf("the window of a slow reader has become %d octets", got)
	}
}

// A reader that takes a window in one gulp after a pause is slow, too.
func TestTunerPausingReader(t *testing.T) {
	p := newPath(1e9, 100*time.Millisecond, 1<<20, 1<<30)
	for range 100 {
		p.tuner.Arrived(&p.meter, 0, p.now)
		n := uint32(p.win.Available())
		p.win.Receive(n)
		p.now = p.now.Add(time.Second)
		p.read(n)
	}
	if got := p.win.Size(); got != 1<<20 {
		t.Errorf("the window has become %d octets", got)
	}
}

func TestTunerKnowsNothing(t *testing.T) {
	var tu Tuner
	var m Meter
	w := NewRecvWindow(1000)
	tu.Answered(tuneEpoch) // of nothing
	tu.Asked(tuneEpoch)
	tu.Answered(tuneEpoch) // in no time at all
	tu.Answered(tuneEpoch.Add(time.Second))
	if tu.RTT() != 0 {
		t.Fatalf("RTT = %v", tu.RTT())
	}
	for range 10 {
		if tu.Arrived(&m, 0, tuneEpoch) {
			t.Error("a question without a round-trip time")
		}
		w.Receive(1000)
		w.Release(1000)
		if tu.Consumed(&m, &w, 1000) {
			t.Error("a look without a round-trip time")
		}
		if grown, inc := tu.Grow(&m, &w, 1000, tuneEpoch); grown != 0 || inc != 0 {
			t.Error("growth without a round-trip time")
		}
	}
}

func TestTunerRTT(t *testing.T) {
	var tu Tuner
	now := tuneEpoch
	for _, tt := range []struct{ answer, want time.Duration }{
		{80 * time.Millisecond, 80 * time.Millisecond},
		{40 * time.Millisecond, 40 * time.Millisecond},             // shorter: at once
		{56 * time.Millisecond, 42 * time.Millisecond},             // longer: an eighth of the way
		{time.Hour, 42*time.Millisecond + 3958*time.Millisecond/8}, // 4 s at most
		{-time.Second, 0}, // a clock that was set back
	} {
		tu.Asked(now)
		now = now.Add(tt.answer)
		tu.Answered(now)
		if tu.RTT() != tt.want {
			t.Errorf("after %v: RTT = %v, want %v", tt.answer, tu.RTT(), tt.want)
		}
	}
}

func TestTunerAsksSeldom(t *testing.T) {
	p := newPath(1e8, 50*time.Millisecond, 1<<20, 1<<30)
	p.run(time.Second)
	if p.asks != 1 {
		t.Errorf("%d questions in the first second", p.asks)
	}
	p.run(time.Minute)
	if p.asks < 6 || p.asks > 7 {
		t.Errorf("%d questions in a minute", p.asks)
	}

	var tu Tuner
	var m Meter
	tu.Asked(tuneEpoch)
	tu.Answered(tuneEpoch.Add(time.Millisecond))
	w := NewRecvWindow(1 << 20)
	now := tuneEpoch
	for range 3 { // rounds in which little is consumed
		now = now.Add(time.Second)
		if tu.Arrived(&m, 1000, now) {
			t.Error("a question for the sake of 999 octets")
		}
		tu.Consumed(&m, &w, 999)
	}
	tu.Consumed(&m, &w, 1)
	now = now.Add(time.Second)
	if !tu.Arrived(&m, 1000, now) {
		t.Fatal("no question after 1000 octets")
	}
	tu.Asked(now)
	for range 100 {
		now = now.Add(time.Minute)
		tu.Consumed(&m, &w, 1<<20)
		if tu.Arrived(&m, 1000, now) {
			t.Fatal("a second question before the answer")
		}
	}
}

// Whatever is answered and whenever, the arithmetic holds.
func FuzzTuner(f *testing.F) {
	f.Add(int64(time.Hour), uint32(1<<30), uint32(MaxWindow), int64(1), uint32(math.MaxUint32))
	f.Add(int64(1), uint32(1), uint32(0), int64(0), uint32(0))
	f.Fuzz(func(t *testing.T, rtt int64, size, room uint32, step int64, n uint32) {
		size, room = size%(MaxWindow+1), room%(MaxWindow+1)
		var tu Tuner
		var m Meter
		w := NewRecvWindow(size)
		tu.Asked(tuneEpoch)
		now := tuneEpoch.Add(time.Duration(rtt))
		tu.Answered(now)
		left := room
		for range 20 {
			tu.Arrived(&m, 1, now)
			now = now.Add(time.Duration(step))
			tu.Consumed(&m, &w, n)
			before := w.Size()
			grown, _ := tu.Grow(&m, &w, left, now)
			if grown > left || w.Size() != before+grown {
				t.Fatalf("grown by %d from %d to %d with room for %d", grown, before, w.Size(), left)
			}
			left -= grown
		}
		if w.Size() > MaxWindow || uint64(w.Size()) > uint64(size)+uint64(room) || tu.RTT() < 0 || tu.RTT() > maxRTT {
			t.Fatalf("size %d of %d+%d, RTT %v", w.Size(), size, room, tu.RTT())
		}
	})
}
