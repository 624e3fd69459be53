package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/cmd/sluice/internal/listen/listentest"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// origin is a site on TLS that is reached by every name, at a public address.
type origin struct {
	addr  string
	roots *x509.CertPool
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	cert, err := selfsigned.Certificate("example.com", "www.example.com", "example.org")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, ErrorLog: log.New(io.Discard, "", 0),
	}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "hello from ", r.Host, r.Header.Get("Authorization"))
	})
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
	})
	o := &origin{addr: l.Addr().String(), roots: x509.NewCertPool()}
	o.roots.AddCert(cert.Leaf)
	return o
}

// LookupNetIP finds a public address for every name, and a private one for names of inside.
func (o *origin) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if strings.HasPrefix(host, "inside.") {
		return []netip.Addr{netip.MustParseAddr("10.1.2.3")}, nil
	}
	return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
}

// adjust has a proxy reach the origin at every public address.
func (o *origin) adjust(p *tunnel.Proxy) {
	p.Resolver = o
	p.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if !strings.HasPrefix(addr, "127.") {
			addr = o.addr
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}

// running is a proxy that a test has started.
type running struct {
	*listentest.Running
	reload chan os.Signal
}

// start runs o until the test ends.
func start(t *testing.T, o Options) *running {
	t.Helper()
	reload := make(chan os.Signal)
	return &running{reload: reload, Running: listentest.Start(t,
		func(ctx context.Context, r *listentest.Running, ready func(https, http net.Addr)) error {
			o.Out, o.Err, o.Reload, o.Ready = &r.Out, &r.Err, reload, ready
			return Run(ctx, o)
		})}
}

// local are options for tests: both listeners on this machine, and all the time to drain that a
// slow machine takes.
func local(o *origin) Options {
	opts := Defaults()
	opts.HTTP, opts.HTTPS, opts.Drain = "127.0.0.1:0", "127.0.0.1:0", time.Minute
	opts.Adjust = o.adjust
	return opts
}

// fetch gets https://example.com/ through a proxy by net/http's client, as it comes.
func fetch(t *testing.T, o *origin, proxy string) (string, error) {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.Proxy = http.ProxyURL(u)
	tr.TLSClientConfig = &tls.Config{RootCAs: o.roots.Clone()}
	if u.Scheme == "https" {
		tr.TLSClientConfig.InsecureSkipVerify = true
	}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: time.Minute}).Get("https://example.com/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// h2Client is a client of an HTTP/2 proxy on TLS.
func h2Tunnel(t *testing.T, addr, target string) (net.Conn, error) {
	t.Helper()
	tr := &client.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(tr.CloseIdleConnections)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, "https://"+addr, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = target
	nc, _, err := tr.Connect(r)
	return nc, err
}
