package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A connection for one request says so, and a stream that was reserved and given back is no
// request.
func TestMaxRequestsReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(t *Transport) { t.MaxRequestsPerConn = 1 })
		nc, _ := f.l.Dial(t.Context(), "", "")
		cc, err := f.tr.NewClientConn(nc)
		if err != nil {
			t.Fatal(err)
		}
		p := f.accept()
		want := func(why string, inFlight, available int) {
			t.Helper()
			synctest.Wait()
			if s := cc.State(); s.InFlight != inFlight || s.Available != available || s.Err != nil {
				t.Errorf("%s: %+v", why, s)
			}
		}
		want("at first", 0, 1)
		for range 3 {
			if err := cc.Reserve(); err != nil {
				t.Fatal(err)
			}
			want("reserved", 1, 0)
			if err := cc.Reserve(); !errors.Is(err, core.ErrNoStream) {
				t.Errorf("another: %v", err)
			}
			cc.Release()
			want("given back", 0, 1)
		}
		bad := newRequest(t, "GET", testURL, nil)
		bad.Header["X"] = []string{"\x00"}
		if _, err := cc.RoundTrip(bad); err == nil {
			t.Error("a bad field was sent")
		}
		want("after a request that could not be sent", 0, 1)
		r := startOn(t, cc, newRequest(t, "GET", testURL, nil))
		p.request()
		if s := cc.State(); s.Err == nil || s.InFlight != 1 || s.Available != 0 {
			t.Errorf("with its request: %+v", s)
		}
		p.send(h2test.Response(1, 204).End())
		r.response()
		<-cc.Done()
		f.close()
		_ = p.nc.Close()
	})
}

// Shutdown waits for a request for which a stream is reserved, and for no other.
func TestShutdownWaitsForReserved(t *testing.T) {
	for _, used := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t)
			nc, _ := f.l.Dial(t.Context(), "", "")
			cc, err := f.tr.NewClientConn(nc)
			if err != nil {
				t.Fatal(err)
			}
			p := f.accept()
			if err := cc.Reserve(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := cc.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown with a stream reserved: %v", err)
			}
			cancel()
			down := make(chan error)
			go func() { down <- cc.Shutdown(t.Context()) }()
			synctest.Wait()
			if err := cc.Reserve(); err == nil {
				t.Error("Reserve after Shutdown")
			}
			if used {
				r := startOn(t, cc, newRequest(t, "GET", testURL, nil))
				h := p.request()
				p.send(h2test.Response(h.StreamID, 204).End())
				r.response()
			} else {
				cc.Release()
			}
			if err := <-down; err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			f.close()
			_ = p.nc.Close()
		})
	}
}

// nothingPool is a Pool with a mistake.
type nothingPool struct{}

func (nothingPool) Get(*http.Request, *Target) (*ClientConn, error) { return nil, nil }
func (nothingPool) CloseIdleConnections()                           {}

// A Pool that returns nothing is an error.
func TestPoolReturnsNothing(t *testing.T) {
	tr := &Transport{Pool: nothingPool{}, Protocols: h2cOnly(), Proxy: noProxy}
	spy := &spyBody{Reader: strings.NewReader("x")}
	if _, err := tr.RoundTrip(newRequest(t, "POST", testURL, spy)); !errors.Is(err, errNoConn) {
		t.Errorf("%v", err)
	}
	if spy.closes != 1 {
		t.Errorf("the body was closed %d times", spy.closes)
	}
	connect := newRequest(t, "CONNECT", testURL, nil)
	connect.Host = "example.test:1"
	if _, _, err := tr.Connect(connect); !errors.Is(err, errNoConn) {
		t.Errorf("Connect: %v", err)
	}
}

// addressPool is a Pool of a user's: it dials the addresses of a host one after another.
type addressPool struct {
	mu    sync.Mutex
	addrs []string
	next  int
}

func (p *addressPool) Get(req *http.Request, target *Target) (*ClientConn, error) {
	p.mu.Lock()
	addr := p.addrs[p.next%len(p.addrs)]
	p.next++
	p.mu.Unlock()
	cc, err := target.DialAddr(req.Context(), addr)
	if err != nil {
		return nil, err
	}
	return cc, cc.Reserve()
}

func (*addressPool) CloseIdleConnections() {}

// A pool chooses among the addresses of a host, whose name is the one that TLS and the server see.
func TestDialAddr(t *testing.T) {
	u, _, tr := tlsSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Host + " " + r.TLS.ServerName))
	}))
	addr := strings.TrimPrefix(u, "https://")
	var dialed []string
	tr.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		dialed = append(dialed, to)
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	tr.MaxRequestsPerConn = 1
	tr.Pool = &addressPool{addrs: []string{"192.0.2.1:443", "[2001:db8::1]:8443"}}
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(t, "GET", "https://example.test", nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "example.test example.test" {
			t.Errorf("%q", got)
		}
	}
	if got := strings.Join(dialed, " "); got != "192.0.2.1:443 [2001:db8::1]:8443 192.0.2.1:443" {
		t.Errorf("dialed %s", got)
	}
}
