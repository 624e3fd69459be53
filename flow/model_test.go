package flow

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// link is one direction of a connection: a sender and a receiver, each with its windows for the
// connection and for a few streams, and the frames in flight between them. Both see the same
// events, at different times.
type link struct {
	rng *rand.Rand

	sendConn SendWindow
	send     []SendWindow
	initial  uint32 // the initial size as the sender knows it

	recvConn RecvWindow
	recv     []RecvWindow
	settings []uint32 // sent by the receiver, not acknowledged: oldest first
	now      uint32   // the initial size that the receiver has in force

	down []message // to the receiver: DATA, SETTINGS ACK
	up   []message // to the sender: WINDOW_UPDATE, SETTINGS

	sent, released uint64 // octets of DATA
	updates        int
}

type message struct {
	kind   byte // 'd' DATA, 'a' SETTINGS ACK, 'w' WINDOW_UPDATE, 's' SETTINGS
	stream int  // -1: the connection
	n      uint32
}

const modelStreams = 3

func newLink(rng *rand.Rand) *link {
	size := []uint32{0, 1, 7, 100, 65535, 1 << 20, MaxWindow}[rng.IntN(7)]
	l := &link{rng: rng, initial: size, now: size}
	l.sendConn.Add(65535)
	l.recvConn.Init(65535)
	for range modelStreams {
		l.send = append(l.send, SendWindow{})
		l.send[len(l.send)-1].Add(size)
		l.recv = append(l.recv, NewRecvWindow(size))
	}
	return l
}

func (l *link) update(stream int, inc uint32) {
	if inc > 0 {
		l.up = append(l.up, message{'w', stream, inc})
		l.updates++
	}
}

// step takes one random step. The error says which rule of HTTP/2 was broken.
func (l *link) step() error {
	s := l.rng.IntN(modelStreams)
	switch l.rng.IntN(8) {
	case 0, 1: // send DATA
		room := min(l.sendConn.Available(), l.send[s].Available(), 1<<14)
		if room <= 0 {
			return nil
		}
		n := 1 + l.rng.Int32N(room)
		l.sendConn.Take(int(n))
		l.send[s].Take(int(n))
		l.sent += uint64(n)
		l.down = append(l.down, message{'d', s, uint32(n)})
	case 2, 3:
		return l.deliverDown()
	case 4:
		return l.deliverUp()
	case 5, 6: // read
		held := l.recv[s].Held()
		if held == 0 {
			return nil
		}
		l.release(s, 1+l.rng.Uint32N(held))
	case 7:
		l.change(s)
	}
	return nil
}

func (l *link) release(s int, n uint32) {
	l.update(s, l.recv[s].Release(n))
	l.update(-1, l.recvConn.ReleaseShared(n))
	l.released += uint64(n)
}

// change makes the receiver change a size: of all streams by settings, or of one window.
func (l *link) change(s int) {
	size := []uint32{0, 1, 1000, 65535, 1 << 17}[l.rng.IntN(5)]
	switch l.rng.IntN(12) {
	case 0:
		l.settings = append(l.settings, size)
		l.up = append(l.up, message{'s', -1, size})
	case 1:
		l.update(-1, l.recvConn.Resize(max(size, 1)))
	case 2:
		l.update(s, l.recv[s].Flush())
	}
}

func (l *link) deliverDown() error {
	if len(l.down) == 0 {
		return nil
	}
	m := l.down[0]
	l.down = l.down[1:]
	switch m.kind {
	case 'd':
		if !l.recvConn.Receive(m.n) {
			return fmt.Errorf("%d octets overran the connection window of %d", m.n, l.recvConn.Available())
		}
		if !l.recv[m.stream].Receive(m.n) {
			return fmt.Errorf("%d octets overran the stream window of %d", m.n, l.recv[m.stream].Available())
		}
	case 'a':
		size := l.settings[0]
		l.settings = l.settings[1:]
		for i := range l.recv {
			inc, ok := l.recv[i].Shift(int32(int64(size) - int64(l.now)))
			if !ok {
				return fmt.Errorf("receiver refused its own setting %d", size)
			}
			l.update(i, inc)
		}
		l.now = size
	}
	return nil
}

func (l *link) deliverUp() error {
	if len(l.up) == 0 {
		return nil
	}
	m := l.up[0]
	l.up = l.up[1:]
	switch {
	case m.kind == 's':
		for i := range l.send {
			if !l.send[i].Shift(int32(int64(m.n) - int64(l.initial))) {
				return fmt.Errorf("a setting of %d overflowed a window of %d", m.n, l.send[i].Available())
			}
		}
		l.initial = m.n
		l.down = append(l.down, message{'a', -1, 0})
	case m.stream < 0:
		if !l.sendConn.Add(m.n) {
			return fmt.Errorf("connection window overflowed by %d", m.n)
		}
	case !l.send[m.stream].Add(m.n):
		return fmt.Errorf("stream window overflowed by %d", m.n)
	}
	return nil
}

// drain delivers and reads everything, so that both sides must agree.
func (l *link) drain() error {
	for l.busy() {
		if err := l.deliverDown(); err != nil {
			return err
		}
		if err := l.deliverUp(); err != nil {
			return err
		}
		for i := range l.recv {
			if n := l.recv[i].Held(); n > 0 {
				l.release(i, n)
			}
		}
	}
	if l.sent != l.released {
		return fmt.Errorf("%d octets sent, %d released", l.sent, l.released)
	}
	if err := agree("connection", &l.sendConn, &l.recvConn); err != nil {
		return err
	}
	for i := range l.recv {
		if err := agree(fmt.Sprint("stream ", i), &l.send[i], &l.recv[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *link) busy() bool {
	for i := range l.recv {
		if l.recv[i].Held() > 0 {
			return true
		}
	}
	return len(l.down)+len(l.up) > 0
}

// agree checks a window when nothing is in flight and nothing is held: both sides see the same
// credit, and the peer has all of the size but less than half that is not announced yet. A window
// that was made smaller may still be too large.
func agree(window string, s *SendWindow, r *RecvWindow) error {
	if s.Available() != r.Available() {
		return fmt.Errorf("%s: sender has %d, receiver thinks %d", window, s.Available(), r.Available())
	}
	if r.Held() != 0 {
		return fmt.Errorf("%s: %d held", window, r.Held())
	}
	if total := int64(r.Available()) + int64(r.Unsent()); total < int64(r.Size()) {
		return fmt.Errorf("%s: %d of %d left: credit was lost", window, total, r.Size())
	}
	if r.Unsent() > 0 && 2*r.Unsent() >= r.Size() {
		return fmt.Errorf("%s: %d of %d not announced", window, r.Unsent(), r.Size())
	}
	return nil
}

func TestBothSidesAgree(t *testing.T) {
	var sent uint64
	var updates int
	for seed := range uint64(2000) {
		l := newLink(rand.New(rand.NewPCG(seed, 0)))
		for i := range 400 {
			if err := l.step(); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
		}
		if err := l.drain(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sent += l.sent
		updates += l.updates
	}
	if sent == 0 || updates == 0 {
		t.Fatalf("the model moved %d octets with %d updates", sent, updates)
	}
}

// FuzzWindows lets the fuzzer choose what the model does.
func FuzzWindows(f *testing.F) {
	f.Add(uint64(1), uint16(300))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint16) {
		l := newLink(rand.New(rand.NewPCG(seed, 1)))
		for range steps % 2000 {
			if err := l.step(); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.drain(); err != nil {
			t.Fatal(err)
		}
	})
}
