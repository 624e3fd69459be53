package conformance

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/tunnel"
)

// proxyHeaderConfig passes connections on behind a PROXY protocol header, and checks with one. A
// check has 20 ms, which a busy machine may not have: it does not count.
const proxyHeaderConfig = `
global
	nbthread 1
defaults
	mode tcp
	timeout connect 60s
	timeout client 60s
	timeout server 60s
listen front
	bind 127.0.0.1:%d
	server ours %s %s check check-send-proxy inter 20ms fall 1000000
`

// probes counts the connections that a listener below a ProxyProtocolListener has accepted.
type probes struct {
	net.Listener
	many chan struct{} // closed when there were ten
	once sync.Once
	n    int
}

func (p *probes) Accept() (net.Conn, error) {
	nc, err := p.Listener.Accept()
	if p.n++; p.n > 10 {
		p.once.Do(func() { close(p.many) })
	}
	return nc, err
}

// The proxy sees the clients behind HAProxy, whose checks are no errors.
func TestProxyBehindHAProxy(t *testing.T) {
	path := requirePeer(t, "haproxy", "/usr/sbin/haproxy")
	for _, version := range []string{"send-proxy", "send-proxy-v2"} {
		t.Run(version, func(t *testing.T) {
			f := startProxy(t, &tunnel.Proxy{})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			below := &probes{Listener: l, many: make(chan struct{})}
			logs := &strings.Builder{} // is read when nothing writes to it
			pl := &tunnel.ProxyProtocolListener{
				Listener: below, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
				Logger: slog.New(slog.NewTextHandler(logs, nil)),
			}
			served := make(chan error, 1)
			go func() { served <- f.srv.Serve(pl) }()
			s := prepare(t)
			front := freePort(t)
			s.run(t, path, "-db", "-f", s.config(t, fmt.Sprintf(proxyHeaderConfig, front, l.Addr(), version)))
			addr := await(t, front)
			select {
			case <-below.many:
			case <-time.After(peerTimeout):
				t.Fatal("HAProxy does not check")
			}
			var from net.Addr
			tr := &http.Transport{
				Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: addr}),
				TLSClientConfig: &tls.Config{RootCAs: f.roots},
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
					if err == nil {
						from = nc.LocalAddr()
					}
					return nc, err
				},
			}
			resp, err := (&http.Client{Transport: tr, Timeout: peerTimeout}).Get(f.secure)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			tr.CloseIdleConnections()
			if r := <-f.records; r.Client.String() != from.String() || r.Status != http.StatusOK {
				t.Errorf("%+v, and the client is %v", r, from)
			}
			_ = pl.Close()
			<-served
			if logs.Len() > 0 {
				t.Errorf("logged: %s", logs)
			}
		})
	}
}
