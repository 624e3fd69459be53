package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// Over TLS, too, neither Flush nor Close waits for the socket.
func TestFlushOverTLSDoesNotWait(t *testing.T) {
	conns := make(chan *Conn)
	written := make(chan error, 1)
	cn, served := rawClient(t, true, Config{}, func(st *Stream) {
		_ = st.WriteHeaders(status2(200), false)
		conns <- st.Conn()
		_, err := st.Write(make([]byte, 64<<20))
		written <- err
	})
	c := <-conns
	untilFull(c)
	c.Flush()
	_ = c.Close()
	if err := <-written; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Write returned %v", err)
	}
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	_ = cn.Close()
}

// untilFull waits until the socket seems to take no more: nothing has been sent in many turns of
// the scheduler.
func untilFull(c *Conn) {
	const turns = 20_000 // some milliseconds
	for was, same := uint64(0), 0; same < turns; runtime.Gosched() {
		c.mu.Lock()
		sent, writing := c.mu.stats.bytesWritten, c.mu.out.flushing
		if c.borrowingLocked() {
			sent += uint64(c.writer.vectored.sent)
		}
		c.mu.Unlock()
		if same++; sent != was || sent == 0 || !writing {
			was, same = sent, 0
		}
	}
}

// A peer that reads slowly but steadily is waited for, however long a write takes. A busy machine
// may keep it from reading for longer than a short limit: then a longer one has to do, with pauses
// that are as much longer.
func TestWriteTimeoutOverTLS(t *testing.T) {
	for limit := 800 * time.Millisecond; ; limit *= 5 {
		err := writeTo(t, limit)
		if err == nil {
			return
		}
		if limit > 10*time.Second {
			t.Fatalf("with a limit of %v: %v", limit, err)
		}
		t.Logf("with a limit of %v: %v", limit, err)
	}
}

// writeTo writes to a client that reads for more than limit, the WriteByteTimeout.
func writeTo(t *testing.T, limit time.Duration) error {
	t.Helper()
	body, wrote := pattern(1, 12<<20), make(chan error, 1)
	cn, served := rawClient(t, true, Config{WriteByteTimeout: limit}, func(st *Stream) {
		_ = st.WriteHeaders(status2(200), false)
		_, err := st.Write(body)
		if wrote <- err; err == nil {
			st.Reset(frame.NoError)
		}
	})
	begun := time.Now()
	pause := time.NewTicker(limit / 400)
	defer pause.Stop()
	got, err := readUntil(slowly{cn, pause.C}, frame.TypeRSTStream)
	took := time.Since(begun)
	_ = cn.Close()
	<-served
	if err := errors.Join(err, <-wrote); err != nil {
		return fmt.Errorf("%d octets have come: %w", len(got), err)
	}
	if !bytes.Equal(got, body) || took < limit {
		t.Errorf("%d octets have come in %v, others than those that were written, or too soon", len(got), took)
	}
	return nil
}

// A peer that reads nothing is not waited for.
func TestWriteTimeoutOverTLSEnds(t *testing.T) {
	cn, served := rawClient(t, true, Config{WriteByteTimeout: 100 * time.Millisecond}, func(st *Stream) {
		_ = st.WriteHeaders(status2(200), false)
		if _, err := st.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write returned %v", err)
		}
	})
	if err := <-served; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Serve returned %v", err)
	}
	_ = cn.Close()
}

// slowly is read with pauses, in which the socket is full.
type slowly struct {
	io.Reader
	pause <-chan time.Time
}

func (s slowly) Read(p []byte) (int, error) {
	<-s.pause
	return s.Reader.Read(p)
}

// No write deadline is left behind, as in TestNoWriteDeadlineIsLeftOnTLS, although the socket is
// written to beside TLS.
func TestNoWriteDeadlineIsLeftBelowTLS(t *testing.T) {
	cn, sn := tcpPair(t)
	client, server := overTLS(t, tlsbatch.New(cn), tlsbatch.New(sn))
	cfg := Config{WriteByteTimeout: time.Minute}
	p := newPair(t, client, server, cfg, cfg, echo)
	p.roundTrip(pattern(1, 8<<20))
	for _, c := range []*Conn{&p.client.Conn, &p.server.Conn} {
		if c.writer.tlsBatch == nil {
			t.Error("TLS writes by itself")
		}
		c.mu.Lock()
		for c.mu.out.flushing {
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
		}
		at := c.writer.deadline
		c.mu.Unlock()
		if !at.IsZero() {
			t.Errorf("a write deadline in %v is left", time.Until(at))
		}
	}
	p.wantClean() // in the end a write may fail, and leave its deadline on a socket that is closed
}
