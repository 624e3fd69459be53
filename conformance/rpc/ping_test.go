package rpc

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
)

// pingTracer counts PINGs of ours and GOAWAYs of the server.
type pingTracer struct {
	mu          sync.Mutex
	asked, gone int
}

func (p *pingTracer) TraceFrame(_ *conn.Conn, e conn.FrameTrace) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f := e.Header; {
	case e.Direction == conn.Out && f.Type == frame.TypePing && !f.Flags.Has(frame.FlagAck):
		p.asked++
	case e.Direction == conn.In && f.Type == frame.TypeGoAway:
		p.gone++
	}
}

// The PINGs with which a client measures the path are none that grpc-go's server punishes: it ends
// a connection with the third that comes without a message of its own between them. For a minute on
// a path of 1 s and 40 Mbit/s, several calls at once have it receive in bulk.
func TestMeasuringIsNotPunishedByGRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memconn.Listen(memconn.Options{Latency: 500 * time.Millisecond, Bandwidth: 5_000_000, Buffer: 32 << 20})
		s := newGRPCServer(newEcho())
		served := make(chan error)
		go func() { served <- s.Serve(l) }()
		tracer := new(pingTracer)
		tr := &client.Transport{Protocols: new(http.Protocols), DialContext: l.Dial, Tracer: tracer}
		tr.Protocols.SetUnencryptedHTTP2(true)
		c := &connectCaller{
			hc:   &http.Client{Transport: tr},
			url:  "http://grpc.test",
			opts: []connect.ClientOption{connect.WithGRPC()},
		}

		end := time.Now().Add(time.Minute)
		var callers sync.WaitGroup
		for range 4 {
			callers.Go(func() {
				for time.Now().Before(end) {
					got, err := c.say(context.Background(), message(4<<20), "")
					if err != nil || !bytes.Equal(got.body, message(4<<20)) {
						t.Errorf("%d octets, %v", len(got.body), err)
						return
					}
				}
			})
		}
		callers.Wait()
		tracer.mu.Lock()
		if tracer.asked < 3 || tracer.gone > 0 {
			t.Errorf("%d PINGs, %d GOAWAYs", tracer.asked, tracer.gone)
		}
		tracer.mu.Unlock()
		if n := tr.Stats().ConnsOpened; n != 1 {
			t.Errorf("%d connections", n)
		}
		tr.CloseIdleConnections()
		s.Stop()
		if err := <-served; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
}
