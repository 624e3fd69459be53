//go:build !nethttpomithttp2

package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
)

// identities is a server over TLS that answers with the name of the client's certificate.
func identities(t *testing.T) *httptest.Server {
	t.Helper()
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprint(w, name, " over ", r.Proto)
	}))
	if err := server.Configure(ts.Config, nil); err != nil {
		t.Fatal(err)
	}
	ts.TLS = ts.Config.TLSConfig.Clone()
	ts.TLS.ClientAuth = tls.RequestClientCert
	ts.StartTLS()
	t.Cleanup(ts.Close)
	return ts
}

// named returns a certificate of a client.
func named(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// ask returns the body of a response, or the error.
func ask(t *testing.T, rt http.RoundTripper, url string) string {
	t.Helper()
	resp, err := rt.RoundTrip(newRequest(t, "GET", url, nil))
	if err != nil {
		return err.Error()
	}
	return readAll(t, resp)
}

// A clone of a configured transport shares no connection with it, whichever of the two comes first.
func TestClonesShareNoConnection(t *testing.T) {
	ts := identities(t)
	alice := &tls.Config{Certificates: []tls.Certificate{named(t, "alice")}}
	configured := func() *http.Transport {
		t1 := &http.Transport{Proxy: noProxy, TLSClientConfig: alice}
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
		return t1
	}
	standalone := func() http.RoundTripper {
		return &Transport{Proxy: noProxy, TLSClientConfig: alice}
	}
	clone := func(rt http.RoundTripper, adjust func(*tls.Config)) http.RoundTripper {
		switch rt := rt.(type) {
		case *http.Transport:
			c := rt.Clone()
			adjust(c.TLSClientConfig)
			return c
		default:
			c := rt.(*Transport).Clone()
			adjust(c.TLSClientConfig)
			return c
		}
	}
	trust := func(c *tls.Config) { c.InsecureSkipVerify = true }
	bob := func(c *tls.Config) {
		trust(c)
		c.Certificates = []tls.Certificate{named(t, "bob")}
	}
	for name, make := range map[string]func() http.RoundTripper{
		"Configure": func() http.RoundTripper { return configured() }, "Transport": standalone,
	} {
		t.Run(name, func(t *testing.T) {
			rt := make()
			alices, bobs := clone(rt, trust), clone(rt, bob)
			for range 3 {
				for _, c := range []struct {
					rt   http.RoundTripper
					want string
				}{
					{alices, "alice over HTTP/2.0"},
					{bobs, "bob over HTTP/2.0"},
					{rt, "certificate"},
					{clone(alices, bob), "bob over HTTP/2.0"},
				} {
					if got := ask(t, c.rt, ts.URL); !strings.Contains(got, c.want) {
						t.Errorf("%q, want %q", got, c.want)
					}
				}
			}
			for _, c := range []http.RoundTripper{rt, alices, bobs} {
				c.(interface{ CloseIdleConnections() }).CloseIdleConnections()
			}
		})
	}
}

// Requests to one host through different proxies, or none, reach it through these.
func TestProxiesShareNoConnection(t *testing.T) {
	ts := identities(t)
	_, port, _ := net.SplitHostPort(ts.Listener.Addr().String())
	a, b := newConnectProxy(t), newConnectProxy(t)
	var through atomic.Pointer[connectProxy]
	choose := func(*http.Request) (*url.URL, error) {
		if p := through.Load(); p != nil {
			return &url.URL{Scheme: "http", Host: p.l.Addr().String()}, nil
		}
		return nil, nil
	}
	t1 := &http.Transport{Proxy: choose, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if _, err := Configure(t1); err != nil {
		t.Fatal(err)
	}
	t2 := &Transport{Proxy: choose, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	for name, rt := range map[string]http.RoundTripper{"Configure": t1, "Transport": t2} {
		for round := range 3 {
			for i, p := range []*connectProxy{a, nil, b} {
				through.Store(p)
				var remote net.Addr
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
					remote = i.Conn.RemoteAddr()
				}})
				resp, err := rt.RoundTrip(newRequest(t, "GET", "https://127.0.0.1:"+port, nil).WithContext(ctx))
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
				want := ts.Listener.Addr()
				if p != nil {
					want = p.l.Addr()
				}
				if resp.ProtoMajor != 2 || remote.String() != want.String() {
					t.Errorf("%s, round %d, way %d: %s through %v, want %v", name, round, i, resp.Proto, remote, want)
				}
			}
		}
	}
	t1.CloseIdleConnections()
	t2.CloseIdleConnections()
}

// Whatever form a host's name has, one connection serves it, and GetConn is called once a request.
func TestConfigureNames(t *testing.T) {
	ts := identities(t)
	for _, host := range []string{
		"bücher.example.", "bücher.example", "BÜCHER.example", "example.", "Example", "xn--bcher-kva.example",
		"ß.example", "127.0.0.1",
	} {
		var dials, got atomic.Int32
		t1 := &http.Transport{
			Proxy: noProxy, TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, ts.Listener.Addr().String())
			},
		}
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GetConn: func(string) { got.Add(1) }})
		for range 5 {
			resp, err := t1.RoundTrip(newRequest(t, "GET", "https://"+host+"/", nil).WithContext(ctx))
			if err != nil {
				t.Fatal(host, err)
			}
			readAll(t, resp)
		}
		// net/http keeps a connection for others a moment after it has given it to the request that
		// it was dialled for: the second request may come before.
		if dials.Load() > 2 || got.Load() != 5 {
			t.Errorf("%s: %d dials, %d calls of GetConn for 5 requests", host, dials.Load(), got.Load())
		}
		t1.CloseIdleConnections()
	}
}

// An http URL through a proxy over TLS that speaks HTTP/2 does not dial for ever.
func TestConfigureCleartextThroughHTTP2Proxy(t *testing.T) {
	ts := identities(t)
	var dials atomic.Int32
	proxyURL, _ := url.Parse(ts.URL)
	t1 := &http.Transport{
		Proxy: http.ProxyURL(proxyURL), TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	if _, err := Configure(t1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := ask(t, t1, "http://site.example/"); got != "nobody over HTTP/2.0" {
			t.Error(got)
		}
	}
	if n := dials.Load(); n > 2 { // two: see TestConfigureNames
		t.Errorf("%d dials", n)
	}
	t1.CloseIdleConnections()
}

// What Protocols has is what is spoken.
func TestConfigureProtocols(t *testing.T) {
	ts := identities(t)
	for _, c := range []struct {
		h1, h2 bool
		want   string
	}{{true, false, "HTTP/1.1"}, {false, true, "HTTP/2.0"}, {true, true, "HTTP/2.0"}} {
		var p http.Protocols
		p.SetHTTP1(c.h1)
		p.SetHTTP2(c.h2)
		t1 := &http.Transport{Proxy: noProxy, Protocols: &p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, t1, ts.URL); !strings.HasSuffix(got, c.want) {
			t.Errorf("%v: %s", p, got)
		}
		t1.CloseIdleConnections()
	}
}

// Connections that were full are used again: bursts beyond a server's limit of streams do not dial
// each time.
func TestConfigureUsesFullConnectionsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTestServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(10 * time.Millisecond)
			_, _ = io.WriteString(w, "ok")
		}), func(srv *server.Server) { srv.MaxConcurrentStreams = 5 })
		t1 := &http.Transport{Protocols: h2cOnly(), DialContext: s.l.Dial}
		t2, err := Configure(t1)
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for range 12 {
			calls.Go(func() {
				for range 200 {
					if got := ask(t, t1, testURL); got != "ok" {
						t.Error(got)
					}
				}
			})
		}
		calls.Wait()
		// 12 are dialled at the beginning, one for each caller; 3 are enough.
		if n := t2.Stats().ConnsOpened; n > 30 {
			t.Errorf("%d connections for 2,400 requests, 12 at once, 5 streams on each", n)
		}
		time.Sleep(4 * unusedTime)
		t1.CloseIdleConnections()
		s.stop(nil)
	})
}

// A server that sends GOAWAY on each connection at once, or allows no stream, is not dialled as
// fast as can be.
func TestConfigureNoStormOfDials(t *testing.T) {
	for name, greeting := range map[string]func(p *peer){
		"GOAWAY":    func(p *peer) { p.send(h2test.GoAway(0, frame.NoError, "")) },
		"no stream": func(*peer) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				t1 := &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()}
				if _, err := Configure(t1); err != nil {
					t.Fatal(err)
				}
				var dials atomic.Int32
				go func() { // ends with the listener
					for {
						nc, err := f.l.Accept()
						if err != nil {
							return
						}
						dials.Add(1)
						p := newPeer(t, nc)
						p.send(frame.NewSettings(maxStreams(0)), frame.Settings{Ack: true})
						greeting(p)
						t.Cleanup(func() { _ = nc.Close() })
					}
				}()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				_, err := t1.RoundTrip(newRequest(t, "GET", testURL, nil).WithContext(ctx))
				if err == nil {
					t.Error("there was a response")
				}
				if n := dials.Load(); n > 100 {
					t.Errorf("%d dials in 10 s", n)
				}
				t1.CloseIdleConnections()
				f.close()
			})
		})
	}
}

// A request that has failed and is then sent by a clone, with another certificate, to the same
// server does not make the connections of the two one family, though the first had no stream for
// it.
func TestConfigureCloneAfterRefusal(t *testing.T) {
	hold := make(chan struct{})
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			w.(http.Flusher).Flush()
			<-hold
		}
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	if err := server.Configure(ts.Config, &server.Config{MaxConcurrentStreams: 1}); err != nil {
		t.Fatal(err)
	}
	ts.TLS = ts.Config.TLSConfig.Clone()
	ts.TLS.ClientAuth = tls.RequestClientCert
	ts.StartTLS()
	defer ts.Close()
	cfg := ts.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	cfg.NextProtos = nil
	for _, way := range []string{"Certificates", "GetClientCertificate"} {
		var failing atomic.Bool
		set := func(c *tls.Config, name string) {
			cert := named(t, name)
			if way == "Certificates" {
				c.Certificates = []tls.Certificate{cert}
				return
			}
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
		}
		t1 := &http.Transport{TLSClientConfig: cfg.Clone(), ForceAttemptHTTP2: true}
		set(t1.TLSClientConfig, "A")
		t1.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if failing.Load() {
				return nil, fmt.Errorf("no dial now")
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		if _, err := Configure(t1); err != nil {
			t.Fatal(err)
		}
		t2 := t1.Clone()
		set(t2.TLSClientConfig, "B")
		if a, b := ask(t, t1, ts.URL), ask(t, t2, ts.URL); a != "A" || b != "B" {
			t.Fatalf("%q and %q", a, b)
		}
		held, err := t1.RoundTrip(newRequest(t, "GET", ts.URL+"/hold", nil))
		if err != nil {
			t.Fatal(err)
		}
		failing.Store(true)
		req := newRequest(t, "GET", ts.URL, nil)
		if _, err := t1.RoundTrip(req); err == nil {
			t.Fatal("a second stream, or a second connection")
		}
		resp, err := t2.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "B" {
			t.Errorf("%s: the clone got %q", way, got)
		}
		hold <- struct{}{}
		_ = readAll(t, held)
		for range 5 {
			if got := ask(t, t2, ts.URL); got != "B" {
				t.Errorf("%s: the clone got %q", way, got)
			}
		}
		t1.CloseIdleConnections()
		t2.CloseIdleConnections()
	}
}
