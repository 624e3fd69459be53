package conformance

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"

	"github.com/sluice-go/sluice/frame"
)

// pipeThrough sends a text up a CONNECT request of net/http's client, and reads it back.
func pipeThrough(t *testing.T, rt http.RoundTripper, req *http.Request, text string) {
	t.Helper()
	up, upEnd := io.Pipe()
	req.Body = up
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 {
		t.Fatalf("%s %s", resp.Proto, resp.Status)
	}
	if _, err := io.WriteString(upEnd, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != text {
		t.Fatalf("%q came back, %v", got, err)
	}
	_ = upEnd.Close()
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
}

// xnetTransport is x/net's client for cleartext. From Go 1.27 on it is net/http's in other clothes.
func xnetTransport(t *testing.T) *http2.Transport {
	x := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(x.CloseIdleConnections)
	return x
}

// net/http's client and x/net's through a server of ours: the request's body one way, the
// response's the other.
func TestNetHTTPTunnels(t *testing.T) {
	s := newTunnelSite()
	ls := startServer(t, false, s, offerConnect)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	for _, rt := range []http.RoundTripper{tr, xnetTransport(t)} {
		pipeThrough(t, rt, connectRequest(t, ls.URL, "echo.test:80"), "ping")
		s.wantEnd(t, nil)
	}
}

// Our client through net/http's server, whose handler echoes the body of a CONNECT request.
func TestClientTunnelsNetHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host == "abort.test:80" {
				panic(http.ErrAbortHandler)
			}
			rc := http.NewResponseController(w)
			_ = rc.Flush()
			buf := make([]byte, 32<<10)
			for {
				n, err := r.Body.Read(buf)
				if _, err := w.Write(buf[:n]); err != nil {
					return
				}
				_ = rc.Flush()
				if err != nil {
					return
				}
			}
		}),
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	url := "http://" + l.Addr().String()
	tr := newTransport(t)
	tunnel, resp, err := tr.Connect(connectRequest(t, url, "echo.test:80"))
	if err != nil || tunnel == nil {
		t.Fatal(resp, err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := tunnel.Write(bigBody())
		if err == nil {
			err = tunnel.CloseWrite()
		}
		sent <- err
	}()
	got, err := io.ReadAll(tunnel)
	if err != nil || checksum(got) != checksum(bigBody()) {
		t.Errorf("%d octets came back, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	_ = tunnel.Close()
	if _, _, err := tr.Connect(connectRequest(t, url, "abort.test:80")); !errors.Is(err, frame.InternalError) {
		t.Errorf("the handler has panicked: %v", err)
	}
	pipeThrough(t, tr, connectRequest(t, url, "echo.test:80"), "as with net/http")
}
