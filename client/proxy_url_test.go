package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/server"
)

// tunnelProxy is a proxy of package server, which tells what it was asked for. It answers a request
// that is not CONNECT itself.
type tunnelProxy struct {
	log  callLog
	addr string
	cert *x509.Certificate
}

func startTunnelProxy(t *testing.T, secure bool, protocols func(*http.Protocols)) *tunnelProxy {
	t.Helper()
	srvTLS, _ := testTLS(t)
	leaf, err := x509.ParseCertificate(srvTLS.Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	l := listenTCP(t)
	p := &tunnelProxy{addr: l.Addr().String(), cert: leaf}
	srv := &server.Server{Handler: p, TLSConfig: srvTLS, Protocols: new(http.Protocols)}
	protocols(srv.Protocols)
	done := make(chan error, 1)
	go func() {
		if secure {
			done <- srv.ServeTLS(l, "", "")
		} else {
			done <- srv.Serve(l)
		}
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return p
}

// get returns what was recorded.
func (n *callLog) get() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

func (p *tunnelProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.log.add(r.Method + " " + r.Proto + " " + r.Header.Get("Proxy-Authorization") + " " + r.Header.Get("X"))
	if r.Method != http.MethodConnect {
		fmt.Fprintf(w, "%s of the proxy", r.Host)
		return
	}
	far, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.Header().Set("Proxy-Status", "test; error=connection_refused")
		http.Error(w, "cannot be reached", http.StatusBadGateway)
		return
	}
	defer far.Close()
	var near net.Conn
	w.Header().Set("Seen", "yes")
	if r.ProtoMajor == 2 {
		near, err = server.AcceptConnect(w)
	} else if near, _, err = http.NewResponseController(w).Hijack(); err == nil {
		_, err = io.WriteString(near, "HTTP/1.1 200 OK\r\nSeen: yes\r\n\r\n")
	}
	if err != nil {
		return
	}
	defer near.Close()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
	})
	_, _ = io.Copy(near, far)
	_ = near.Close()
	up.Wait()
}

// newProxyPair returns a Transport to a site with TLS through a proxy, and both.
func newProxyPair(t *testing.T, scheme string, secure bool, protocols func(*http.Protocols)) (
	u string, tr *Transport, p *tunnelProxy,
) {
	u, _, tr = tlsSite(t, http.HandlerFunc(echoHandler))
	p = startTunnelProxy(t, secure, protocols)
	tr.TLSClientConfig.RootCAs.AddCert(p.cert)
	tr.Proxy = http.ProxyURL(&url.URL{Scheme: scheme, Host: p.addr, User: url.UserPassword("us", "er")})
	return u, tr, p
}

func http1And2(p *http.Protocols) {
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
}

var proxyURLs = map[string]struct {
	scheme    string
	secure    bool
	protocols func(*http.Protocols)
	proto     string
}{
	"http":            {"http", false, http1And2, "HTTP/1.1"},
	"https, HTTP/1.1": {"https", true, func(p *http.Protocols) { p.SetHTTP1(true) }, "HTTP/1.1"},
	"https, HTTP/2":   {"https", true, http1And2, "HTTP/2.0"},
	"h2c":             {"h2c", false, http1And2, "HTTP/2.0"},
}

// A proxy is spoken to in the way that its URL says, for each protocol of the site behind it, and
// the hooks of http.Transport are called.
func TestProxyByURL(t *testing.T) {
	for name, tt := range proxyURLs {
		t.Run(name, func(t *testing.T) {
			u, tr, p := newProxyPair(t, tt.scheme, tt.secure, tt.protocols)
			tr.ProxyConnectHeader = http.Header{"X": {"own"}}
			var hooks callLog
			tr.OnProxyConnectResponse = func(_ context.Context, u *url.URL, req *http.Request, resp *http.Response) error {
				hooks.add(
					fmt.Sprint(u.Scheme, req.Method, req.Header.Get("X"), resp.Proto, resp.StatusCode, resp.Header.Get("Seen")),
				)
				return nil
			}
			both, h1 := new(http.Protocols), new(http.Protocols)
			both.SetHTTP1(true)
			both.SetHTTP2(true)
			h1.SetHTTP1(true)
			for _, protocols := range []*http.Protocols{both, h1} {
				own := tr.Clone()
				own.Protocols = protocols
				resp, err := own.RoundTrip(newRequest(t, "POST", u, strings.NewReader("inside")))
				if err != nil {
					t.Fatal(err)
				}
				if got := readAll(t, resp); got != "inside" || (resp.ProtoMajor == 2) != protocols.HTTP2() {
					t.Errorf("%q, %s", got, resp.Proto)
				}
				own.CloseIdleConnections()
			}
			asked := "CONNECT " + tt.proto + " Basic dXM6ZXI= own"
			hooked := tt.scheme + "CONNECTown" + tt.proto + "200yes"
			if got := strings.Join(p.log.get(), "; "); got != asked+"; "+asked {
				t.Errorf("the proxy was asked %s", got)
			}
			if got := strings.Join(hooks.get(), "; "); got != hooked+"; "+hooked {
				t.Errorf("the hook saw %s", got)
			}
		})
	}
}

// What the proxy says is in the error.
func TestProxyErrorByURL(t *testing.T) {
	for name, tt := range proxyURLs {
		t.Run(name, func(t *testing.T) {
			_, tr, p := newProxyPair(t, tt.scheme, tt.secure, tt.protocols)
			_, err := tr.RoundTrip(newRequest(t, "GET", "https://127.0.0.1:1/", nil))
			var pe *ProxyError
			if !errors.As(err, &pe) || pe.StatusCode != 502 || pe.Addr != p.addr || pe.Target != "127.0.0.1:1" ||
				pe.ProxyStatus != "test; error=connection_refused" || string(pe.Body) != "cannot be reached\n" {
				t.Errorf("%+v", err)
			}
		})
	}
}

// Connections to a proxy that speaks HTTP/2 are shared, and closed with the others.
func TestProxyConnectionIsShared(t *testing.T) {
	u, tr, _ := newProxyPair(t, "https", true, http1And2)
	var dials callLog
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.add(addr)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	tr.MaxRequestsPerConn = 1 // so that each request has a tunnel of its own
	var users sync.WaitGroup
	for range 20 {
		users.Go(func() {
			resp, err := tr.RoundTrip(newRequest(t, "POST", u, strings.NewReader("x")))
			if err != nil {
				t.Error(err)
				return
			}
			_ = readAll(t, resp)
		})
	}
	users.Wait()
	if n := len(dials.get()); n != 1 {
		t.Errorf("%d connections to the proxy", n)
	}
	tr.CloseIdleConnections()
}

// Requests for http URLs go to a proxy as they go there from net/http: with HTTP/1.1 in absolute
// form. One that speaks HTTP/2 by prior knowledge gets them as requests with the scheme http.
func TestProxyForwards(t *testing.T) {
	for _, tt := range []struct{ scheme, want string }{
		{"http", "GET HTTP/1.1 Basic dXM6ZXI= "}, {"h2c", "GET HTTP/2.0 Basic dXM6ZXI= "},
	} {
		p := startTunnelProxy(t, false, http1And2)
		calls := 0
		tr := &Transport{Proxy: func(*http.Request) (*url.URL, error) {
			calls++
			return &url.URL{Scheme: tt.scheme, Host: p.addr, User: url.UserPassword("us", "er")}, nil
		}}
		req := newRequest(t, "GET", "http://example.test/path", nil)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != "example.test of the proxy" || resp.Request != req {
			t.Errorf("%s: %q", tt.scheme, got)
		}
		if got := p.log.get(); len(got) != 1 || got[0] != tt.want || calls != 1 {
			t.Errorf("%s: the proxy was asked %q, by %d calls of Proxy", tt.scheme, got, calls)
		}
		tr.CloseIdleConnections()
	}
}

// The windows towards a proxy hold no download up: more than any window at its beginning is on its
// way before the reader takes the first octet.
func TestProxyWindows(t *testing.T) {
	const size = 24 << 20
	site := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, zeros{}, size)
	}))
	site.EnableHTTP2 = false
	site.StartTLS()
	defer site.Close()
	p := startTunnelProxy(t, true, http1And2)
	tr := &Transport{
		TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()},
		Proxy:           http.ProxyURL(&url.URL{Scheme: "https", Host: p.addr}),
	}
	tr.TLSClientConfig.RootCAs.AddCert(p.cert)
	tr.TLSClientConfig.RootCAs.AddCert(site.Certificate())
	cfg := tr.proxyConfig()
	if cfg.MaxReceiveBufferPerStream < 4<<20 || cfg.MaxReceiveBufferPerConnection < 16<<20 ||
		cfg.MaxReceiveBufferGrowth <= 0 {
		t.Errorf("the windows are %d, %d and %d", cfg.MaxReceiveBufferPerStream, cfg.MaxReceiveBufferPerConnection,
			cfg.MaxReceiveBufferGrowth)
	}
	resp, err := tr.RoundTrip(newRequest(t, "GET", site.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d octets, %v", n, err)
	}
	t.Logf("%d MiB in %v", size>>20, time.Since(begin))
	_ = resp.Body.Close()
	tr.CloseIdleConnections()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
