package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// randomFaults is a server, and the way to it, of which every part fails at random.
type randomFaults struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (c *randomFaults) below(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n)
}

// dial makes, fails or hangs, at times without heeding its context.
func (c *randomFaults) dial(real func(context.Context, string, string) (net.Conn, error)) func(
	context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := slow(ctx, time.Duration(c.below(400))*time.Millisecond); err != nil {
			return nil, err
		}
		switch c.below(8) {
		case 0:
			return nil, errors.New("dial failed")
		case 1:
			return nil, hang(ctx)
		case 2:
			time.Sleep(time.Second)
		}
		return real(ctx, network, addr)
	}
}

// serve plays one connection: it answers, refuses, says GOAWAY or ends, and allows few streams.
func (c *randomFaults) serve(p *peer) {
	defer p.nc.Close()
	switch c.below(10) {
	case 0:
		return
	case 1:
		p.send(frame.NewSettings(), h2test.GoAway(0, frame.NoError, ""))
		return
	}
	time.Sleep(time.Duration(c.below(20)) * time.Millisecond)
	p.send(frame.NewSettings(maxStreams(uint32(c.below(4)))), frame.Settings{Ack: true})
	for {
		switch f := p.next().(type) {
		case h2test.Block:
			switch c.below(20) {
			case 0:
				return
			case 1:
				p.send(h2test.GoAway(f.StreamID-1, frame.NoError, ""))
				return
			case 2, 3:
				p.send(h2test.RST(f.StreamID, frame.RefusedStream))
			default:
				time.Sleep(time.Duration(c.below(10)) * time.Millisecond)
				p.send(h2test.Response(f.StreamID, 204).End())
			}
		case nil:
			return
		}
	}
}

// Whatever fails, each request ends, and nothing is left: no connection, no dial, no group.
func TestPoolStress(t *testing.T) {
	for _, limit := range []int{0, 1, 3} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(limit, " ", seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { stressPool(t, limit, seed) })
			})
		}
	}
}

func stressPool(t *testing.T, limit int, seed uint64) {
	c := &randomFaults{rnd: rand.New(rand.NewPCG(seed, uint64(limit)))}
	f := newTestDialer(t, func(t *Transport) { t.MaxAttempts, t.MaxConnsPerHost = 0, limit })
	f.tr.DialContext = c.dial(f.l.Dial)
	var servers sync.WaitGroup
	servers.Go(func() {
		for {
			nc, err := f.l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() { c.serve(newPeer(t, nc)) })
		}
	})
	var answered, failed atomic.Int32
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+c.below(5000))*time.Millisecond)
				resp, err := f.tr.RoundTrip(newRequest(t, "GET", testURL, nil).WithContext(ctx))
				if err == nil {
					_ = resp.Body.Close()
					answered.Add(1)
				} else {
					failed.Add(1)
				}
				cancel()
			}
		})
	}
	clients.Wait()
	f.tr.CloseIdleConnections()
	time.Sleep(time.Minute)
	f.close()
	servers.Wait()
	p := f.tr.once.ownPool
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.groups) > 0 || p.connCount != 0 {
		t.Errorf("%d groups and %d connections are left", len(p.groups), p.connCount)
	}
	if answered.Load() < 10 {
		t.Errorf("%d requests were answered, %d have failed", answered.Load(), failed.Load())
	}
	t.Logf("%d answered, %d failed, %+v", answered.Load(), failed.Load(), f.tr.Stats())
}
