package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
)

// countDials counts the connections that a transport makes.
func countDials(tr *client.Transport) *atomic.Int32 {
	var n atomic.Int32
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &n
}

// noise returns n octets that depend on a seed.
func noise(seed uint32, n int64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint32(key[:], seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

// sumOf returns the checksum of what r has, and how much that is.
func sumOf(r io.Reader) (sum uint32, n int64, err error) {
	h := crc32.NewIEEE()
	n, err = io.Copy(h, r)
	return h.Sum32(), n, err
}

// exchangeNoise sends noise of one seed and its end, and checks that noise of another comes.
func exchangeNoise(c tunnelConn, out, in uint32, size int64) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(c, noise(out, size))
		if err == nil {
			err = c.CloseWrite()
		}
		sent <- err
	}()
	want, _, _ := sumOf(noise(in, size))
	got, n, err := sumOf(c)
	switch werr := <-sent; {
	case err != nil || werr != nil:
		return errors.Join(err, werr)
	case got != want || n != size:
		return fmt.Errorf("%d octets with checksum %x, want %d with %x", n, got, size, want)
	}
	return nil
}

// serveNoise answers the noise of each tunnel: the first four octets are its seed.
func serveNoise(t *testing.T, l net.Listener, size int64) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				var seed [4]byte
				if _, err := io.ReadFull(nc, seed[:]); err != nil {
					t.Error(err)
					return
				}
				id := binary.LittleEndian.Uint32(seed[:])
				if err := exchangeNoise(nc.(tunnelConn), id+1, id, size); err != nil {
					t.Errorf("target of tunnel %d: %v", id, err)
				}
			})
		}
	})
	return wg.Wait
}

// TestThousandTunnels carries 1 MiB both ways through each of 1,000 tunnels over one connection of
// HTTP/2, beside one that is stalled: its client reads nothing.
func TestThousandTunnels(t *testing.T) {
	tunnels, size := 1000, int64(1<<20)
	if testing.Short() || raceEnabled {
		tunnels, size = 100, 1<<18
	}
	e, o := newProxy(t, &Proxy{}), newOrigin(t)
	tr := e.transport(overH2)
	tr.StrictMaxConcurrentStreams = true
	dials := countDials(tr)

	stalledBy := newOrigin(t)
	stalled, _ := e.dialH2(tr, overH2, stalledBy.addr, make(http.Header))
	if stalled == nil {
		t.Fatal("no tunnel")
	}
	defer stalled.Close()
	before := dials.Load() // more than 1 where the first has taken long
	flood := stalledBy.accept()
	_ = flood.SetDeadline(time.Time{})
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(flood, noise(0, 1<<40)) }) // ends when the test closes it

	wait := serveNoise(t, o.l, size)
	var clients sync.WaitGroup
	for i := range tunnels {
		clients.Go(func() {
			c, resp := e.dialH2(tr, overH2, o.addr, make(http.Header))
			if c == nil {
				t.Error(resp.Status)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
			id := uint32(10 * (i + 1))
			if err := binary.Write(c, binary.LittleEndian, id); err != nil {
				t.Error(err)
				return
			}
			if err := exchangeNoise(c, id, id+1, size); err != nil {
				t.Errorf("client of tunnel %d: %v", id, err)
			}
		})
	}
	clients.Wait()
	for range tunnels {
		if r := e.record(); r.End != EndClosed || r.Sent != size+4 || r.Received != size {
			t.Errorf("record: %+v", r)
		}
	}
	if n := dials.Load() - before; n != 0 {
		t.Errorf("%d connections more than the one that was there", n)
	}
	_ = flood.Close()
	_ = o.l.Close()
	wait()
	wg.Wait()
}

// TestBulk carries 64 MiB each way at the same time: between sockets of TCP that is spliced.
func TestBulk(t *testing.T) {
	size := int64(64 << 20)
	if testing.Short() || raceEnabled {
		size = 4 << 20
	}
	for _, way := range allWays {
		t.Run(way, func(t *testing.T) {
			e, o := newProxy(t, &Proxy{}), newOrigin(t)
			wait := serveNoise(t, o.l, size)
			c, resp := e.dial(way, o.addr)
			if c == nil {
				t.Fatal(resp.Status)
			}
			_ = c.SetDeadline(time.Now().Add(5 * time.Minute))
			if err := binary.Write(c, binary.LittleEndian, uint32(7)); err != nil {
				t.Fatal(err)
			}
			if err := exchangeNoise(c, 7, 8, size); err != nil {
				t.Error(err)
			}
			if r := e.record(); r.End != EndClosed || r.Sent != size+4 || r.Received != size {
				t.Errorf("record: %+v", r)
			}
			_ = o.l.Close()
			wait()
		})
	}
}

// What the ends of TestBadEndings do.
const (
	closes           = "closes"
	resets           = "resets"
	goesSilent       = "goes silent"
	neverReads       = "never reads"
	halfClosesSilent = "half-closes and goes silent"
)

// TestBadEndings opens tunnels for each of nine bad endings, half of them over HTTP/1.1 and half
// over one connection of HTTP/2, and looks for what is left of them. How many it opens for each may
// be set by SLUICE_BAD_ENDINGS, to 2000 for example; default 100.
func TestBadEndings(t *testing.T) {
	tunnels := 100
	if n, err := strconv.Atoi(os.Getenv("SLUICE_BAD_ENDINGS")); err == nil {
		tunnels = n
	}
	for _, clientDoes := range []string{closes, resets, goesSilent} {
		for _, originDoes := range []string{closes, neverReads, halfClosesSilent} {
			t.Run("client "+clientDoes+", origin "+originDoes, func(t *testing.T) {
				e := newProxy(t, &Proxy{IdleTimeout: 200 * time.Millisecond})
				tr := e.transport(overH2C)
				warm := newOrigin(t) // so that what stays open anyway is there before
				badEndings(t, e, tr, warm, 2, closes, closes)
				fds, goroutines := descriptors(t), runtime.NumGoroutine()
				for left := tunnels; left > 0; left -= 500 {
					badEndings(t, e, tr, warm, min(left, 500), clientDoes, originDoes)
				}
				const some = 4 // that come and go
				awaitNoMore(t, "descriptors", fds+some, func() int { return descriptors(t) })
				awaitNoMore(t, "goroutines", goroutines+some, runtime.NumGoroutine)
				if st := e.p.Stats(); st.Open != 0 || len(e.p.state.perUser) != 0 || len(e.p.state.perConn) != 0 {
					t.Errorf("left: %+v", st)
				}
			})
		}
	}
}

// descriptors returns how many the process has. The pipes for splice, which package net keeps, are
// given back by the garbage collector.
func descriptors(t *testing.T) int {
	t.Helper()
	runtime.GC()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("the descriptors are not known here")
	}
	return len(entries)
}

// awaitNoMore waits until there are no more than there were.
func awaitNoMore(t *testing.T, what string, before int, count func() int) {
	t.Helper()
	deadline := time.After(testTimeout)
	for tick := time.Tick(20 * time.Millisecond); count() > before; <-tick {
		select {
		case <-deadline:
			buf := make([]byte, 1<<20)
			t.Fatalf("%d %s, and %d before\n%.20000s", count(), what, before, buf[:runtime.Stack(buf, true)])
		default:
		}
	}
}

// badEndings plays one bad ending n times at once, and returns when the proxy has ended all the
// tunnels. Only then what the test holds of them is closed.
func badEndings(
	t *testing.T, e *proxyEnv, tr *client.Transport, o *origin, n int, clientDoes, originDoes string,
) {
	t.Helper()
	var wg sync.WaitGroup
	held := make(chan net.Conn, 2*n)
	wg.Go(func() {
		for range n {
			c := o.accept()
			held <- c
			wg.Go(func() {
				_, _ = io.WriteString(c, "hello")
				switch originDoes {
				case closes:
					_ = c.Close()
				case halfClosesSilent:
					_ = c.CloseWrite()
				}
			})
		}
	})
	for i := range n {
		wg.Go(func() {
			way := overHTTP1
			var c tunnelConn
			if i%2 == 0 {
				way = overH2C
				c, _ = e.dialH2(tr, way, o.addr, make(http.Header))
			} else {
				c, _ = e.dial(way, o.addr)
			}
			if c == nil {
				t.Error("no tunnel")
				return
			}
			held <- c
			_ = c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			_, _ = c.Write(make([]byte, 128<<10)) // may be stuck, or meet a reset
			switch clientDoes {
			case closes:
				_ = c.Close()
			case resets:
				if r, ok := c.(*readerConn); ok {
					abort(r.tunnelConn, frame.Cancel)
				} else {
					abort(c, frame.Cancel)
				}
			}
		})
	}
	wg.Wait()
	for range n {
		if r := e.record(); r.End == "" {
			t.Errorf("record: %+v", r)
		}
	}
	close(held)
	for c := range held {
		_ = c.Close()
	}
}
