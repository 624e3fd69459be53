package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// With MaxRequestsPerConn no connection takes more requests, and each request ends, however many
// wait, give up, or give a stream back that they have not used.
func TestMaxRequestsPerConnStress(t *testing.T) {
	for _, conns := range []int{0, 1, 2} {
		for _, limit := range []int{1, 3} {
			t.Run(fmt.Sprint(conns, " connections of ", limit), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { stressRequestsPerConn(t, conns, limit) })
			})
		}
	}
}

func stressRequestsPerConn(t *testing.T, conns, limit int) {
	f := newTestDialer(t, func(tr *Transport) {
		tr.MaxConnsPerHost, tr.MaxRequestsPerConn, tr.MaxAttempts = conns, int64(limit), 0
	})
	c := &randomFaults{rnd: rand.New(rand.NewPCG(uint64(conns), uint64(limit)))}
	var servers, clients sync.WaitGroup
	servers.Go(func() {
		for {
			nc, err := f.l.Accept()
			if err != nil {
				return
			}
			servers.Go(func() {
				if n := answerAll(newPeer(t, nc)); n > limit {
					t.Errorf("%d requests on one connection", n)
				}
				_ = nc.Close()
			})
		}
	})
	for range 32 {
		clients.Go(func() {
			for range 10 {
				ctx, cancel := context.WithCancel(t.Context())
				if c.below(4) == 0 { // it gives up, at any time
					time.AfterFunc(time.Duration(c.below(3000))*time.Microsecond, cancel)
				}
				resp, err := f.tr.RoundTrip(newRequest(t, "GET", testURL, nil).WithContext(ctx))
				if err == nil {
					_ = resp.Body.Close()
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	clients.Wait()
	f.close()
	servers.Wait()
}

// answerAll answers requests until the connection ends, and returns how many there were.
func answerAll(p *peer) (n int) {
	p.send(frame.NewSettings(maxStreams(100)), frame.Settings{Ack: true})
	for {
		switch f := p.next().(type) {
		case h2test.Block:
			n++
			time.Sleep(time.Millisecond)
			p.send(h2test.Response(f.StreamID, 204).End())
		case nil:
			return n
		}
	}
}
