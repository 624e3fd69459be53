package tunnel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"

	"github.com/sluice-go/sluice/tunnel"
)

// A proxy puts a credential into the requests of a client, which never has it.
func ExampleInterceptor() {
	origin := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s with %s", r.Proto, r.Header.Get("Authorization"))
	}))
	origin.EnableHTTP2 = true
	origin.StartTLS()
	defer origin.Close()
	_, port, err := net.SplitHostPort(origin.Listener.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := os.MkdirTemp("", "sluice-ca-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	ca, err := tunnel.LoadCA(dir) // makes it on first use; ca.Trust() is what to tell the user
	if err != nil {
		fmt.Println(err)
		return
	}
	roots := x509.NewCertPool() // only for the origin of this example
	roots.AddCert(origin.Certificate())
	rules := &tunnel.Rules{AllowPrivate: true}
	if rules.Ports, err = tunnel.ParsePorts(port); err != nil {
		fmt.Println(err)
		return
	}
	p := &tunnel.Proxy{
		Policy:   rules,
		Resolver: names{"example.com": {netip.MustParseAddr("127.0.0.1")}},
		Intercept: &tunnel.Interceptor{
			CA:      ca,
			RootCAs: roots,
			SetFields: func(_ context.Context, _ *tunnel.Target, host string) (http.Header, error) {
				if host == "example.com" {
					return http.Header{"Authorization": {"Bearer secret"}}, nil
				}
				return nil, nil
			},
		},
		Audit: func(r *tunnel.Record) {
			if r.Kind == tunnel.KindExchange {
				fmt.Println("audit:", r.Method, r.Path, r.Status)
			}
		},
	}
	proxy := httptest.NewServer(p)
	defer proxy.Close()
	defer p.Close() // waits for its tunnels

	trusted := x509.NewCertPool()
	trusted.AddCert(ca.Certificate())
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	transport := &http.Transport{
		Proxy:             http.ProxyURL(proxyURL),
		TLSClientConfig:   &tls.Config{RootCAs: trusted},
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://example.com:" + port + "/page?q=private")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Unordered output:
	// audit: GET /page 200
	// HTTP/2.0 with Bearer secret <nil>
}
