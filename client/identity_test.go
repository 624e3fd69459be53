//go:build !nethttpomithttp2

package client

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// A new client certificate is the one that the next connection shows: no session of the old one is
// resumed, with TLS 1.3 nor with 1.2.
func TestNewClientCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].DNSNames[0])
		}))
		ts.EnableHTTP2 = true
		ts.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: version}
		ts.StartTLS()
		cfg := ts.Client().Transport.(*http.Transport).TLSClientConfig
		name := ""
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, err := selfsigned.Certificate(name)
			return &cert, err
		}
		tr := &Transport{TLSClientConfig: cfg, Proxy: noProxy}
		for _, name = range []string{"one.test", "two.test"} {
			resp, err := tr.RoundTrip(newRequest(t, "GET", ts.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			if got := readAll(t, resp); got != name || resp.ProtoMajor != 2 {
				t.Errorf("the server sees %s, want %s", got, name)
			}
			tr.CloseIdleConnections()
		}
		ts.Close()
	}
}

// A server pushes for the origin that the connection was made for, whatever Host a request names.
func TestPushForHostOfRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(tr *Transport) { tr.PushCache = new(PushCache) })
		req := newRequest(t, "GET", testURL, nil)
		req.Host = "victim.test"
		page := f.start(req)
		p := f.accept()
		p.request()
		p.send(p.promise(2, ":authority", "victim.test"), h2test.Response(2, 200))
		p.wantReset(2, frame.ProtocolError)
		p.send(p.promise(4), h2test.Response(4, 200), h2test.DataEnd(4, "own"))
		synctest.Wait()
		victim := f.start(newRequest(t, "GET", "http://victim.test/pushed", nil))
		q := f.accept()
		q.send(h2test.Response(q.request().StreamID, 200, "from: victim").End())
		if got := victim.response().Header.Get("From"); got != "victim" {
			t.Errorf("the response is from %q", got)
		}
		own := newRequest(t, "GET", "http://other.test/pushed", nil)
		own.Host = "example.test"
		other := f.start(own) // goes to another server, and asks it for the same
		o := f.accept()
		o.send(h2test.Response(o.request().StreamID, 200, "from: other").End())
		if got := other.response().Header.Get("From"); got != "other" {
			t.Errorf("the response is from %q", got)
		}
		if got := readAll(t, f.start(newRequest(t, "GET", testURL+"/pushed", nil)).response()); got != "own" {
			t.Errorf("what was pushed for the origin: %q", got)
		}
		p.send(h2test.Response(1, 204).End())
		page.response()
		f.close()
		for _, p := range []*peer{p, q, o} {
			_ = p.nc.Close()
		}
	})
}

// The user's minimum of TLS holds: HTTP/1.1 is spoken with old versions, and HTTP/2 is not.
func TestOldTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Proto)
		}))
		ts.EnableHTTP2 = h2
		ts.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		ts.StartTLS()
		cfg := ts.Client().Transport.(*http.Transport).TLSClientConfig
		cfg.MinVersion = tls.VersionTLS10
		tr := &Transport{TLSClientConfig: cfg, Proxy: noProxy}
		resp, err := tr.RoundTrip(newRequest(t, "GET", ts.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "HTTP/1.1" || resp.TLS.Version != tls.VersionTLS11 {
			t.Errorf("%s with %s", got, tls.VersionName(resp.TLS.Version))
		}
		only := new(http.Protocols)
		only.SetHTTP2(true)
		if _, err := (&Transport{TLSClientConfig: cfg, Proxy: noProxy, Protocols: only}).
			RoundTrip(newRequest(t, "GET", ts.URL, nil)); err == nil {
			t.Error("HTTP/2 with TLS 1.1")
		}
		tr.CloseIdleConnections()
		ts.Close()
	}
}

// Names beyond ASCII are looked up as net/http does.
func TestIDNA(t *testing.T) {
	for _, tt := range []struct{ host, dial, sent string }{
		{"example.test", "example.test:443", "example.test"},
		{"Bücher.example:8443", "xn--bcher-kva.example:8443", "xn--bcher-kva.example:8443"},
		{"BÜCHER.example", "xn--bcher-kva.example:443", "xn--bcher-kva.example"},
		{"bücher.example.", "xn--bcher-kva.example.:443", "xn--bcher-kva.example."},
		{"İstanbul.example", "xn--istanbul-o0e.example:443", "xn--istanbul-o0e.example"},
		{"a..bü", "a..xn--b-eha:443", "a..xn--b-eha"},
		{"bücher。example", "xn--bcher-kva.example:443", "xn--bcher-kva.example"},
		{"-xü.example", "-xü.example:443", "xn---x-yka.example"},
	} {
		dial, err := hostPort("https", tt.host)
		if err != nil || dial != tt.dial {
			t.Errorf("%q is dialled as %q, %v; want %q", tt.host, dial, err, tt.dial)
		}
		if sent, err := asciiHost(tt.host); sent != tt.sent || (err != nil) != (tt.sent == "") {
			t.Errorf("%q is sent as %q, %v; want %q", tt.host, sent, err, tt.sent)
		}
	}
}
