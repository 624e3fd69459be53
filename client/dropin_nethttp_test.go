//go:build !nethttpomithttp2

package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestCloneOfConfigured(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request) {}))
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	tr, err := Configure(&http.Transport{Proxy: noProxy, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}})
	if err != nil {
		t.Fatal(err)
	}
	tr.MaxAttempts = 3
	c := tr.Clone()
	for _, tr := range []*Transport{tr, c} {
		resp, err := tr.RoundTrip(newRequest(t, "GET", ts.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, resp)
		if n := tr.Stats().ConnsOpened; n != 1 || tr.MaxAttempts != 3 {
			t.Errorf("%d connections, MaxAttempts %d", n, tr.MaxAttempts)
		}
		tr.CloseIdleConnections()
	}
}

// Dial, DialTLS, OnProxyConnectResponse and TLSNextProto do what those of http.Transport do.
func TestFieldsOfNetHTTP(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()
	addr := ts.Listener.Addr().String()
	insecure := func() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
	get := func(tr *Transport) string {
		resp, err := tr.RoundTrip(newRequest(t, "GET", "https://site.example/", nil))
		if err != nil {
			return err.Error()
		}
		defer tr.CloseIdleConnections()
		return readAll(t, resp)
	}
	dialed := ""
	dial := func(network, addr string) (net.Conn, error) {
		dialed = addr
		return net.Dial(network, ts.Listener.Addr().String())
	}
	got := get(&Transport{Proxy: noProxy, Dial: dial, TLSClientConfig: insecure()})
	if got != "HTTP/2.0" || dialed != "site.example:443" {
		t.Errorf("Dial: %s, %s", got, dialed)
	}
	dialTLS := func(network, addr string) (net.Conn, error) {
		cfg := insecure()
		cfg.NextProtos = []string{"h2"}
		return tls.Dial(network, ts.Listener.Addr().String(), cfg)
	}
	if got := get(&Transport{Proxy: noProxy, DialTLS: dialTLS}); got != "HTTP/2.0" {
		t.Errorf("DialTLS: %s", got)
	}
	none := map[string]func(string, *tls.Conn) http.RoundTripper{}
	got = get(&Transport{Proxy: noProxy, Dial: dial, TLSClientConfig: insecure(), TLSNextProto: none})
	if got != "HTTP/1.1" {
		t.Errorf("TLSNextProto: %s", got)
	}
	if got := get(&Transport{
		Proxy: noProxy, Dial: dial, TLSClientConfig: insecure(), ForceAttemptHTTP2: true,
		ReadBufferSize: 16, WriteBufferSize: 16,
	}); got != "HTTP/2.0" {
		t.Errorf("sizes of buffers: %s", got)
	}
	proxy := newConnectProxy(t)
	refused := errors.New("the proxy will not do")
	var seen string
	tr := &Transport{
		Proxy: proxy.url("user"), TLSClientConfig: insecure(),
		OnProxyConnectResponse: func(_ context.Context, u *url.URL, req *http.Request, resp *http.Response) error {
			seen = u.Host + " " + req.Method + " " + req.Host + " " + resp.Status
			return refused
		},
	}
	if _, err := tr.RoundTrip(newRequest(t, "GET", "https://"+addr+"/", nil)); !errors.Is(err, refused) {
		t.Errorf("OnProxyConnectResponse: %v", err)
	}
	if want := proxy.l.Addr().String() + " CONNECT " + addr + " 200 OK"; seen != want {
		t.Errorf("OnProxyConnectResponse saw %q, want %q", seen, want)
	}
}
