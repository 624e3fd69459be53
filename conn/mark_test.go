package conn

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
)

func TestLowMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var set []int
		m := &lowMark{at: 1, clock: new(markClock), set: func(n int) { set = append(set, n) }}
		step := func(why string, octets, last int, want ...int) {
			t.Helper()
			m.expect(octets, last)
			m.mu.Lock()
			defer m.mu.Unlock()
			if !slices.Equal(set, want) {
				t.Errorf("%s: the mark was set to %v, want %v", why, set, want)
			}
			set = nil
		}
		const much = 10 << 20
		step("nothing is known", 0, 0)
		step("one read that has brought much", much, markRead)
		step("two", much, markRead, markMost)
		step("it goes on", much, markRead)
		time.Sleep(markTime + markTime/2)
		step("the reader had a turn lately", much, markRead)
		step("the end is near", markFrom+5, markRead, markFrom+5)
		step("it is not worth it any more", markFrom-1, markRead, 1)
		step("another body", much, markRead, markMost)
		step("it comes slowly", much, markRead-1, 1)
		step("quickly again", much, markRead)
		step("and again", much, markRead, markMost)
		time.Sleep(2*markTime + 1)
		synctest.Wait()
		step("the peer has paused", much, markRead, 1)
		for range markCalm {
			step("it may pause again", much, markRead)
		}
		step("one read", much, markRead)
		step("two reads", much, markRead, markMost)
		time.Sleep(2*markTime + 1)
		step("it has", 0, 0, 1)
		time.Sleep(time.Hour)
		if m.clock.list != nil && len(m.clock.list) > 0 {
			t.Error("the clock ticks for a mark that is not set")
		}
	})
}

// A peer that pauses in the middle of a body has what it has sent delivered.
func TestPauseInLargeBody(t *testing.T) {
	const before, size = 3<<20 + 100, 6 << 20
	cn, sn := tcpPair(t)
	arrived := make(chan int)
	c := NewServer(sn, Config{MaxReceiveBufferPerStream: 1 << 24, MaxReceiveBufferPerConnection: 1 << 24}, handlerFunc(func(st *Stream) {
		buf, total := make([]byte, 64<<10), 0
		for {
			n, err := st.Read(buf)
			total += n
			if total == before || err != nil {
				arrived <- total
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Error(err)
				}
				return
			}
		}
	}))
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	go func() { _, _ = io.Copy(io.Discard, cn) }() // ends with the connection
	p := &testPeer{t: t}
	newPeerHPACK(p)
	b := p.encode(nil, raw(frame.Preface))
	b = p.encode(b, settings())
	b = p.encode(b, settingsAck)
	r := post(1)
	r.fields = append(r.fields, pairFields("content-length", "6291456")...)
	b = p.encode(b, r)
	body := func(n int, end bool) {
		for n > 0 {
			k := min(n, frame.MinMaxSize)
			n -= k
			b = frame.Data{StreamID: 1, Data: make([]byte, k), EndStream: end && n == 0}.Append(b)
		}
		if _, err := cn.Write(b); err != nil {
			t.Error(err)
		}
		b = b[:0]
	}
	body(before, false)
	if n := <-arrived; n != before {
		t.Errorf("%d octets have come", n)
	}
	body(size-before, true)
	if n := <-arrived; n != size {
		t.Errorf("%d octets have come", n)
	}
	_ = cn.Close()
	<-served
}
