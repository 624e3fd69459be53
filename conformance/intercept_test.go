package conformance

import (
	"context"
	"crypto/sha1" // as RFC 6455 §4.2.2 has it
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// interceptName is the name of the origin behind an intercepting proxy.
const interceptName = "origin.example"

// loopbackNames has every name be 127.0.0.1.
type loopbackNames struct{}

func (loopbackNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// interceptSite is an origin with a certificate of its own behind a proxy that intercepts.
type interceptSite struct {
	proxy, url, caFile string
	ca                 *tunnel.CA

	mu      sync.Mutex // guards the field below
	records []*tunnel.Record
}

// newInterceptSite serves h over TLS, as configure has it, behind a proxy.
func newInterceptSite(t *testing.T, h http.Handler, configure ...func(*server.Server)) *interceptSite {
	t.Helper()
	cert, err := selfsigned.Certificate(interceptName)
	if err != nil {
		t.Fatal(err)
	}
	origin := startServer(t, true, h, append(configure, func(s *server.Server) {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	})...)
	return interceptSiteFor(t, origin.Addr, cert.Leaf)
}

// interceptSiteFor is a proxy before an origin that is there already.
func interceptSiteFor(t *testing.T, addr string, root *x509.Certificate) *interceptSite {
	t.Helper()
	dir := t.TempDir()
	ca, err := tunnel.LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := &interceptSite{ca: ca, caFile: filepath.Join(dir, "ca.pem")}
	ports, err := tunnel.ParsePorts("any")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	p := &tunnel.Proxy{
		Policy:    &tunnel.Rules{AllowPrivate: true, Ports: ports},
		Resolver:  loopbackNames{},
		Intercept: &tunnel.Interceptor{CA: ca, RootCAs: roots},
		Audit: func(r *tunnel.Record) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.records = append(s.records, r)
		},
	}
	t.Cleanup(func() { _ = p.Close() })
	s.proxy = startServer(t, false, p).URL
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + net.JoinHostPort(interceptName, port)
	return s
}

// requests are the exchanges that the proxy has recorded: method, path, protocol and status.
func (s *interceptSite) requests() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.records {
		if r.Kind == tunnel.KindExchange {
			list = append(list, fmt.Sprint(r.Method, " ", r.Path, " ", r.Proto, " ", r.Status))
		}
	}
	slices.Sort(list)
	return list
}

// curl fetches pages through an intercepting proxy whose CA it trusts, over both versions of HTTP,
// and none without.
func TestCurlIntercepted(t *testing.T) {
	c := requirePeer(t, "curl")
	s := newInterceptSite(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %d", r.Proto, n)
	}))
	upload := filepath.Join(t.TempDir(), "upload")
	if err := os.WriteFile(upload, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]string{"--http2": "HTTP/2.0 1048576", "--http1.1": "HTTP/1.1 1048576"} {
		r := mustRunPeer(t, c, "-q", "-sS", "--max-time", "200", "--noproxy", "", "-x", s.proxy,
			"--cacert", s.caFile, flag, "-T", upload, s.url+"/upload")
		if r.stdout != want {
			t.Errorf("%s: %q, want %q; %s", flag, r.stdout, want, clip(r.stderr))
		}
	}
	if r := runPeer(t, c, "-q", "-sS", "--max-time", "200", "--noproxy", "", "-x", s.proxy, s.url); r.err == nil {
		t.Errorf("without the CA: %q", r.stdout)
	}
}

//go:embed testdata/websockets.html
var webSocketsPage string

// webSocketsSite serves a page that opens three WebSockets, over HTTP/1.1 or HTTP/2, and records on
// which connections.
type webSocketsSite struct {
	closed chan struct{} // closed when the browser has seen the end

	mu      sync.Mutex // guards the fields below
	page    string     // the address of the client that has asked for it, and the protocol
	sockets []string
}

func (s *webSocketsSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from := r.RemoteAddr + " " + r.Proto
	s.mu.Lock()
	switch r.URL.Path {
	case "/":
		s.page = from
	case "/chat":
		s.sockets = append(s.sockets, from)
	}
	s.mu.Unlock()
	switch r.URL.Path {
	case "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, webSocketsPage)
	case "/chat":
		s.echo(w, r)
	case "/closed":
		close(s.closed)
	case "/ended":
		select {
		case <-s.closed:
		case <-time.After(peerTimeout / 3):
		case <-r.Context().Done():
		}
		http.NotFound(w, r)
	}
}

// echo answers a WebSocket of RFC 8441 or of RFC 6455.
func (s *webSocketsSite) echo(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 {
		w.Header()["Sec-WebSocket-Protocol"] = r.Header["Sec-Websocket-Protocol"]
		if tunnel, err := server.AcceptConnect(w); err == nil {
			_ = echoFrames(tunnel)
			_ = tunnel.Close()
		}
		return
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer nc.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: echo\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	if half, ok := nc.(halfCloser); ok && rw.Reader.Buffered() == 0 {
		_ = echoFrames(half)
	}
}

// Chromium, which has the proxy's CA among its roots, opens three WebSockets through a proxy that
// ends TLS, as it does without: over the page's connection where the origin has RFC 8441, and over
// HTTP/1.1 otherwise.
func TestChromiumWebSocketsIntercepted(t *testing.T) {
	chromium := requirePeer(t, "chromium", "chromium-browser", "google-chrome")
	certutil := requirePeer(t, "certutil")
	for name, test := range map[string]struct {
		configure    func(*server.Server)
		page, socket string
		shared       bool // page and WebSockets have one connection
	}{
		"HTTP/1.1": {func(s *server.Server) {
			s.Protocols = new(http.Protocols)
			s.Protocols.SetHTTP1(true)
		}, "HTTP/1.1", "HTTP/1.1", false},
		"RFC 8441":          {offerConnect, "HTTP/2.0", "HTTP/2.0", true},
		"HTTP/2 without it": {func(*server.Server) {}, "HTTP/2.0", "HTTP/1.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			site := &webSocketsSite{closed: make(chan struct{})}
			s := newInterceptSite(t, site, test.configure)
			home := t.TempDir()
			db := filepath.Join(home, ".pki", "nssdb")
			if err := os.MkdirAll(db, 0o700); err != nil {
				t.Fatal(err)
			}
			mustRunPeer(t, certutil, "-d", "sql:"+db, "-N", "--empty-password")
			mustRunPeer(t, certutil, "-d", "sql:"+db, "-A", "-t", "C,,", "-n", "sluice", "-i", s.caFile)
			r := mustRunPeer(t, "env", "HOME="+home, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
				"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
				"--disable-dev-shm-usage", "--proxy-server="+s.proxy, "--user-data-dir="+t.TempDir(), "--dump-dom", s.url+"/")
			var seen []string
			reportOf(t, r, &seen)
			want := []string{
				"close 0 1000 clean", "close 1 1000 clean", "close 2 1000 clean", "hello 0", "hello 1", "hello 2",
			}
			if d := cmp.Diff(want, seen); d != "" {
				t.Errorf("the browser (-want +got):\n%s", d)
			}
			site.mu.Lock()
			defer site.mu.Unlock()
			if !strings.HasSuffix(site.page, test.page) || len(site.sockets) != 3 {
				t.Errorf("the page came as %q, the WebSockets as %q", site.page, site.sockets)
			}
			for _, from := range site.sockets {
				if !strings.HasSuffix(from, test.socket) || (from == site.page) != test.shared {
					t.Errorf("the page came as %q, a WebSocket as %q", site.page, from)
				}
			}
			if !slices.Contains(s.requests(), "GET / "+test.page+" 200") {
				t.Errorf("the proxy has recorded %q", s.requests())
			}
		})
	}
}
