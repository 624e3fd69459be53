package netconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

type wrapped struct{ net.Conn }

func TestInterruptible(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, tt := range []struct {
		nc   net.Conn
		want bool
	}{
		{&net.TCPConn{}, true},
		{&net.UnixConn{}, true},
		{wrapped{&net.TCPConn{}}, false},
		{a, false},
		{nil, false},
	} {
		if got := Interruptible(tt.nc); got != tt.want {
			t.Errorf("%T: %v", tt.nc, got)
		}
	}
}

type timeout struct{ error }

func (timeout) Timeout() bool { return true }

func TestIsTimeout(t *testing.T) {
	for err, want := range map[error]bool{
		os.ErrDeadlineExceeded:                           true,
		&net.OpError{Err: os.ErrDeadlineExceeded}:        true,
		fmt.Errorf("x: %w", timeout{errors.New("late")}): true,
		context.DeadlineExceeded:                         true,
		io.EOF:                                           false,
		net.ErrClosed:                                    false,
	} {
		if got := IsTimeout(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	if IsTimeout(nil) {
		t.Error("nil")
	}
}

// stingy returns nothing so many times before each octet.
type stingy struct{ nothing, n, reads int }

func (s *stingy) Read(p []byte) (int, error) {
	s.reads++
	if s.n++; s.n <= s.nothing {
		return 0, nil
	}
	s.n = 0
	return copy(p, "x"), nil
}

func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		nothing int
		free    bool // no time passes
	}{{0, true}, {1, true}, {99, true}, {150, false}} {
		synctest.Test(t, func(t *testing.T) {
			var p Patience
			s := &stingy{nothing: tt.nothing}
			start := time.Now()
			for range 10 {
				if n, err := p.Read(s, make([]byte, 5)); n != 1 || err != nil {
					t.Fatalf("%d in a row are nothing: %d, %v", tt.nothing, n, err)
				}
			}
			if d := time.Since(start); tt.free != (d == 0) {
				t.Errorf("%d in a row are nothing: it took %v", tt.nothing, d)
			}
		})
	}
}

func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Patience
		s := &stingy{nothing: 1 << 30}
		start := time.Now()
		if n, err := p.Read(s, make([]byte, 5)); n != 0 || !errors.Is(err, io.ErrNoProgress) {
			t.Fatalf("nothing for ever: %d, %v", n, err)
		}
		if d := time.Since(start); d < 9*time.Second || d > 11*time.Second {
			t.Errorf("it took %v", d)
		}
		if s.reads > 400 {
			t.Errorf("in %d reads", s.reads)
		}
		if n, err := p.Read(s, nil); n != 0 || err != nil {
			t.Errorf("without room: %d, %v", n, err)
		}
	})
}

// slowClose is closed when something gives it up.
type slowClose struct {
	net.Conn
	at chan time.Time
}

func (s slowClose) Close() error {
	s.at <- time.Now()
	return nil
}

func TestCloseAfter(t *testing.T) {
	for _, d := range []time.Duration{
		time.Second, time.Hour, math.MaxInt64 / 9 * 8, math.MaxInt64/9*8 + 1000, math.MaxInt64,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := slowClose{at: make(chan time.Time, 1)}
			start := time.Now()
			stop := CloseAfter(s, d)
			time.Sleep(min(d, 24*time.Hour))
			select {
			case at := <-s.at:
				t.Fatalf("%v: closed after %v", d, at.Sub(start))
			default:
			}
			if d <= time.Hour {
				if late := (<-s.at).Sub(start) - d; late != d/8 {
					t.Errorf("%v: closed %v later", d, late)
				}
			} else if !stop() {
				t.Errorf("%v: it cannot be stopped", d)
			}
		})
	}
}
