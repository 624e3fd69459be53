package rpc

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// storm starts calls of Wait all at once and cancels them, some of them before they were sent
// out, again and again. Each ends with Canceled, a call beside them is answered, and what is
// called afterwards is, too.
func storm(t *testing.T, c caller) {
	const calls, times = 1001, 5
	for n := range times {
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error, calls)
		var all sync.WaitGroup
		for i := range calls {
			all.Go(func() {
				if i == calls/2 {
					cancel()
				}
				errs <- c.wait(ctx)
			})
		}
		beside, err := c.say(limited(t), []byte("beside"), "")
		if err != nil || string(beside.body) != "beside" {
			t.Errorf("a call beside storm %d: %q, %v", n, beside.body, err)
		}
		all.Wait()
		cancel()
		close(errs)
		wrong := 0
		for err := range errs {
			if c.explain(err).code != codes.Canceled {
				if wrong++; wrong == 1 {
					t.Errorf("storm %d: a cancelled call ended with %v", n, err)
				}
			}
		}
		if wrong > 0 {
			t.Errorf("storm %d: %d of %d calls did not end with Canceled", n, wrong, calls)
		}
		if _, err := c.say(limited(t), []byte("after"), ""); err != nil {
			t.Errorf("a call after storm %d: %v", n, err)
		}
	}
}

// deadlines has calls at a handler that says nothing run out of time, one after another and at
// once. A call beside them is answered.
func deadlines(t *testing.T, c caller) {
	stream, err := c.chat(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		var all sync.WaitGroup
		for range 1 + n%3*20 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				defer cancel()
				if err := c.wait(ctx); err == nil {
					t.Error("a call that nobody answers ended without an error")
				}
			})
		}
		all.Wait()
		if err := stream.send([]byte("beside")); err != nil {
			t.Fatalf("a stream beside the deadlines, round %d: %v", n, err)
		}
		if _, err := stream.receive(); err != nil {
			t.Fatalf("a stream beside the deadlines, round %d: %v", n, err)
		}
	}
	if err := stream.closeSend(); err != nil {
		t.Error(err)
	}
}

// grpc-go resets what its callers cancel, frame for frame as an attacker does with rapid resets,
// but is none.
func TestGRPCStormsOnOurServer(t *testing.T) {
	eachSecurity(t, func(t *testing.T, secure bool) {
		var srv *server.Server
		addr := startOurs(t, secure, newGRPCServer(newEcho()), func(s *server.Server) { srv = s })
		c := dialGRPC(t, addr, secure)
		storm(t, c)
		deadlines(t, c)
		if n := srv.Stats().Connections; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// Our client resets the same, and asks with PINGs whether the server is still there, which grpc-
// go's server answers by ending the connection where they are too many.
func TestOurStormsOnGRPCServer(t *testing.T) {
	s := newGRPCServer(newEcho())
	addr := serveUntilEnd(t, s.Serve, s.Stop)
	tr := &client.Transport{Protocols: new(http.Protocols), StrictMaxConcurrentStreams: true}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	opts := []connect.ClientOption{connect.WithGRPC()}
	c := &connectCaller{hc: &http.Client{Transport: tr}, url: "http://" + addr, opts: opts}
	// A Transport dials again beside a dial that takes long and that many calls wait for.
	if _, err := c.say(limited(t), []byte("first"), ""); err != nil {
		t.Fatal(err)
	}
	storm(t, c)
	deadlines(t, c)
	if n := tr.Stats().ConnsOpened; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A client that sends keepalive PINGs as often as grpc-go may, for as long as a call lasts whose
// handler says nothing, keeps its connection.
func TestGRPCKeepaliveOnOurServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memconn.Listen(memconn.Options{})
		srv := &server.Server{Handler: newGRPCServer(newEcho()), ErrorLog: newTestLog(t)}
		served := make(chan error)
		go func() { served <- srv.Serve(l) }()
		c := dialGRPC(t, "grpc.test", false,
			grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return l.Dial(ctx, "tcp", addr) }),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{
				Time: 10 * time.Second, Timeout: 2 * time.Second, PermitWithoutStream: true,
			}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		err := c.wait(ctx)
		if got := c.explain(err).code; got != codes.DeadlineExceeded {
			t.Errorf("the call ended with %v (%v), want DeadlineExceeded", got, err)
		}
		time.Sleep(10 * time.Minute) // without a call
		if _, err := c.say(t.Context(), []byte("after"), ""); err != nil {
			t.Error(err)
		}
		if n := srv.Stats().Connections; n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
		c.cc.Close()
		srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve ended with %v, want http.ErrServerClosed", err)
		}
	})
}
