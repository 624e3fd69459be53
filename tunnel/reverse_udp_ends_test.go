package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// The end of a tunnel for UDP through a reverse tunnel is that of docs/TUNNELS.md for each client,
// and in the records of both sides.
func TestReverseUDPEnds(t *testing.T) {
	const ended, code, none = "EOF", "reset", ""
	tests := []struct {
		what   string
		idle   time.Duration // limits of the inner side
		age    time.Duration
		near   time.Duration // idle limit of the outer side
		end    func(c *UDPConn, e *proxyEnv, outer *ReverseOuter)
		sees   string // of the client
		code   frame.Code
		record string // of the outer side
		cause  string
		beyond string // record of the inner side
	}{
		{
			what: "the client closes", sees: none, record: EndClosed, beyond: EndClosed,
			end: func(c *UDPConn, _ *proxyEnv, _ *ReverseOuter) { _ = c.Close() },
		},
		{
			what: "malformed capsules", sees: code, code: frame.ProtocolError,
			record: EndMalformed, cause: "context ID", beyond: EndClosed,
			end: func(c *UDPConn, _ *proxyEnv, _ *ReverseOuter) { _, _ = c.stream.Write([]byte{0, 0}) },
		},
		{
			what: "the port is closed", sees: code, code: frame.ConnectError,
			record: EndTargetReset, cause: "CONNECT_ERROR", beyond: EndTargetReset,
		},
		{
			what: "idle limit of the inner side", idle: 50 * time.Millisecond, sees: ended,
			record: EndClosed, cause: "the inner side has ended the tunnel", beyond: EndIdle,
		},
		{
			what: "age limit of the inner side", age: 50 * time.Millisecond, sees: ended,
			record: EndClosed, cause: "the inner side has ended the tunnel", beyond: EndAge,
		},
		{
			what: "idle limit", near: 50 * time.Millisecond, sees: ended,
			record: EndIdle, beyond: EndClosed,
		},
		{
			what: "the inner side is lost", sees: code, code: frame.ConnectError,
			record: EndTargetLost, cause: "connection", beyond: EndClientLost,
			end: func(_ *UDPConn, _ *proxyEnv, outer *ReverseOuter) { _ = outer.Close() },
		},
		{
			what: "shutdown", sees: code, code: frame.Cancel, record: EndShutdown, beyond: EndClosed,
			end: func(_ *UDPConn, e *proxyEnv, _ *ReverseOuter) { _ = e.p.Close() },
		},
	}
	for _, way := range upstreamWays {
		for _, test := range tests {
			t.Run(way+" "+test.what, func(t *testing.T) {
				target := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte { return b })
				if test.record == EndTargetReset {
					target = refusesUDP(t)
				}
				beyond := make(chan *Record, 1)
				inner := Proxy{
					UDP: true, Policy: allowAll(), IdleTimeout: test.idle, MaxTunnelAge: test.age,
					Audit: func(r *Record) { beyond <- r },
				}
				outer := newReversePair(t, &inner)
				e := newProxy(t, &Proxy{UDP: true, DialTarget: outer.DialTarget, IdleTimeout: test.near})
				pc, err := e.udpDialer(way).DialUDP(t.Context(), target)
				if err != nil {
					t.Fatal(err)
				}
				c := pc.(*UDPConn)
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(testTimeout))
				_, _ = c.Write([]byte("anyone?")) // a limit may have ended it
				if test.end != nil {
					_, _ = c.Read(make([]byte, 10))
					test.end(c, e, outer)
				}
				for err = nil; err == nil; {
					_, err = c.Read(make([]byte, 10))
				}
				var reset *frame.StreamError
				_, overH2 := c.stream.(*conn.Tunnel)
				switch {
				case test.sees == none:
				case errors.Is(err, io.EOF) != (test.sees == ended):
					t.Errorf("the client sees %v, want %s", err, test.sees)
				case overH2 && test.sees == code && (!errors.As(err, &reset) || reset.Code != test.code):
					t.Errorf("the client sees %v, want %v", err, test.code)
				}
				if r := e.record(); r.End != test.record || !strings.Contains(r.Error, test.cause) {
					t.Errorf("the outer side's record is %+v, want %s, %q", r, test.record, test.cause)
				}
				if r := <-beyond; r.End != test.beyond {
					t.Errorf("the inner side's record is %+v, want %s", r, test.beyond)
				}
			})
		}
	}
}

// A dial for UDP waits for the inner side that takes the place of one which is drained, as one for
// TCP does, and counts none of those without UDP among the full ones.
func TestReverseUDPDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newReverseEnv(t)
		defer e.close()
		stop := e.start(e.inner()) // without UDP
		old := e.dial()
		stopped := make(chan error, 1)
		go func() { stopped <- stop() }()
		synctest.Wait()
		begin := time.Now()
		dialled := make(chan net.PacketConn, 1)
		go func() {
			pc, err := e.outer.DialUDP(t.Context(), "192.0.2.6:22")
			if err != nil || time.Since(begin) != time.Second {
				t.Errorf("after %v: %v", time.Since(begin), err)
			}
			dialled <- pc
		}()
		time.Sleep(time.Second)
		in := e.inner()
		in.Connections, in.HTTP2.MaxConcurrentStreams, in.Handler.(*Proxy).UDP = 1, 1, true
		e.start(in)
		pc := <-dialled
		if pc == nil {
			return
		}
		defer pc.Close()
		e.start(e.inner()) // beside it, without UDP
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := e.outer.DialUDP(ctx, "192.0.2.6:22"); !errors.Is(err, ErrNoInner) ||
			!strings.Contains(err.Error(), "1 connections are full") {
			t.Errorf("full: %v", err)
		}
		_ = old.Close()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}
