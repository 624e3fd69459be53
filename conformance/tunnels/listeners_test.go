package tunnels

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/netutil"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// A complete response is not cut when the server shuts down, though what netutil.LimitListener
// accepts has no CloseWrite: handlers that have returned have given more to the kernel than the
// client has read.
func TestLimitListenerShutdown(t *testing.T) {
	const size = 8 << 20
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	for range 5 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &server.Server{ErrorLog: log.New(io.Discard, "", 0)}
		srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body(size)) })
		served := make(chan error, 1)
		go func() { served <- srv.Serve(netutil.LimitListener(l, 10)) }()
		tr := &client.Transport{Protocols: p}
		w := &pair{hc: &http.Client{Transport: tr}, url: "http://" + l.Addr().String()}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		resp, err := w.get(ctx, "/")
		if err != nil {
			t.Fatal(err)
		}
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(ctx) }()
		if err := await(t, served, "the end of Serve"); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve ended with %v, want http.ErrServerClosed", err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, body(size)) {
			t.Errorf("%d octets, %v; want %d", len(got), err, size)
		}
		if err := await(t, down, "the end of Shutdown"); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		tr.CloseIdleConnections()
		cancel()
	}
}

// httptest.Server works with Configure on both sides: Close closes idle connections, and
// returns.
func TestHTTPTestConfigured(t *testing.T) {
	for _, secure := range []bool{false, true} {
		p := new(http.Protocols)
		p.SetHTTP2(true)
		p.SetUnencryptedHTTP2(true)
		ts := httptest.NewUnstartedServer(newService())
		ts.Config.Protocols = p
		if err := server.Configure(ts.Config, nil); err != nil {
			t.Fatal(err)
		}
		if secure {
			ts.TLS = ts.Config.TLSConfig
			ts.EnableHTTP2 = true
			ts.StartTLS()
		} else {
			ts.Start()
		}
		tr, ok := ts.Client().Transport.(*http.Transport)
		if !ok {
			t.Fatalf("the client of httptest has a %T", ts.Client().Transport)
		}
		tr.Protocols = p
		if _, err := client.Configure(tr); err != nil {
			t.Fatal(err)
		}
		w := &pair{hc: ts.Client(), url: ts.URL}
		for range 20 {
			if err := w.echo(t.Context(), 10_000); err != nil {
				t.Errorf("TLS %t: %v", secure, err)
			}
		}
		resp, err := w.get(t.Context(), "/echo")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("TLS %t: the protocol is %s, want HTTP/2.0", secure, resp.Proto)
		}
		closed := make(chan struct{})
		go func() {
			ts.Close()
			close(closed)
		}()
		await(t, closed, "the end of httptest.Server.Close")
	}
}
