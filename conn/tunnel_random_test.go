package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// manner is one of the ways in which a side treats its end of a tunnel.
type manner int

const (
	fair       manner = iota // sends everything, ends, reads to the end
	closes                   // closes at some moment, from another goroutine
	aborts                   // resets at some moment, from another goroutine
	hasty                    // has deadlines
	deaf                     // closes reading
	numManners               // how many there are
)

// use sends the pattern of the stream through a tunnel and checks that what comes is the pattern,
// too, as far as it comes. It reports whether all of both has arrived.
func (w manner) use(tun *Tunnel, id uint32, size int, at time.Duration) (whole bool, err error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() { _ = tun.Close() }()
	switch w {
	case closes:
		wg.Go(func() { time.Sleep(at); _ = tun.Close() })
	case aborts:
		wg.Go(func() { time.Sleep(at); _ = tun.Abort(frame.ConnectError) })
	case hasty:
		_ = tun.SetReadDeadline(time.Now().Add(at))
		_ = tun.SetWriteDeadline(time.Now().Add(2 * at))
	case deaf:
		wg.Go(func() { time.Sleep(at); _ = tun.CloseRead() })
	}
	body := pattern(id, size)
	sent := make(chan error, 1)
	wg.Go(func() {
		_, err := io.Copy(tun, bytes.NewReader(body))
		if err == nil {
			err = tun.CloseWrite()
		}
		sent <- err
	})
	var got bytes.Buffer
	_, rerr := io.Copy(&got, tun)
	if got.Len() > size || !bytes.Equal(got.Bytes(), body[:got.Len()]) {
		return false, fmt.Errorf("stream %d has octets of another, or too many: %d of %d", id, got.Len(), size)
	}
	if rerr != nil { // nothing is read any more, so the other direction may wait for ever
		_ = tun.Abort(frame.Cancel)
	}
	werr := <-sent
	for _, err := range []error{rerr, werr} {
		var se *frame.StreamError
		switch {
		case err == nil, errors.As(err, &se):
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ErrReadClosed):
		default:
			return false, fmt.Errorf("stream %d: %w", id, err)
		}
	}
	return rerr == nil && werr == nil && got.Len() == size, nil
}

// Tunnels are closed, reset and given up at any moment by either side, and several connections
// share the memory of their streams. No octet goes astray, and between two fair sides none is lost.
func TestTunnelsAtRandom(t *testing.T) {
	const conns, tunnels = 3, 60
	for seed := range uint64(6) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			type plan struct {
				client, server     manner
				size               int
				clientAt, serverAt time.Duration
			}
			var all sync.WaitGroup
			for range conns {
				plans := make([]plan, tunnels)
				for i := range plans {
					plans[i] = plan{
						manner(rnd.IntN(int(numManners))), manner(rnd.IntN(int(numManners))), rnd.IntN(300_000),
						time.Duration(rnd.IntN(8_000)) * time.Microsecond, time.Duration(rnd.IntN(8_000)) * time.Microsecond,
					}
				}
				cn, sn := testEnds(t, memconn.Options{Latency: time.Millisecond, MaxRead: 1 + rnd.IntN(50_000)})
				cfg := Config{MaxReceiveBufferPerStream: 40_000}
				p := newPair(t, cn, sn, cfg, cfg, func(st *Stream) {
					id := st.ID()
					plan := plans[(id-1)/2]
					if err := st.WriteHeaders(status2(200), false); err != nil {
						return
					}
					done := make(chan bool)
					whole, err := plan.server.use(NewTunnel(st, func() { close(done) }), id, plan.size, plan.serverAt)
					if err != nil || plan.client == fair && plan.server == fair && !whole {
						t.Errorf("seed %d, server: %+v: whole %v, %v", seed, plan, whole, err)
					}
					<-done
				})
				all.Go(func() {
					var open sync.WaitGroup
					for i := range plans {
						st, err := p.client.OpenRequest(&Request{Fields: connectTo(0).Fields})
						if err != nil {
							t.Errorf("seed %d: %v", seed, err)
							return
						}
						id := st.ID()
						plan := plans[(id-1)/2]
						open.Go(func() {
							if _, err := headOf(st); err != nil {
								NewTunnel(st, nil).Close()
								return
							}
							whole, err := plan.client.use(NewTunnel(st, nil), id, plan.size, plan.clientAt)
							if err != nil || plan.client == fair && plan.server == fair && !whole {
								t.Errorf("seed %d, client: %+v: whole %v, %v", seed, plan, whole, err)
							}
						})
						if i%20 == 19 {
							open.Wait()
						}
					}
					open.Wait()
					p.close()
				})
			}
			all.Wait()
		})
	}
}
