package tunnel_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// A proxy for programs that may reach one port of this machine, and one of their requests, with
// net/http's own client.
func ExampleProxy() {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello through a tunnel")
	}))
	defer site.Close()
	u, err := url.Parse(site.URL)
	if err != nil {
		log.Fatal(err)
	}
	ports, err := tunnel.ParsePorts(u.Port())
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan *tunnel.Record, 1)
	proxy := &tunnel.Proxy{
		Policy: &tunnel.Rules{Ports: ports, AllowPrivate: true},
		Audit:  func(r *tunnel.Record) { ended <- r },
	}
	srv := httptest.NewUnstartedServer(proxy)
	go (&server.Server{Handler: proxy}).Serve(srv.Listener)
	defer srv.Listener.Close()

	transport := site.Client().Transport.(*http.Transport)
	transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: srv.Listener.Addr().String()})
	resp, err := site.Client().Get(site.URL)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	fmt.Println(string(body))
	transport.CloseIdleConnections()
	r := <-ended
	fmt.Println(r.Kind, r.Status, r.Rule)
	// Output:
	// hello through a tunnel
	// tunnel 200 default
}
