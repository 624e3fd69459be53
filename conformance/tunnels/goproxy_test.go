package tunnels

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/elazarl/goproxy"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/tunnel"
)

// A Dialer and a client.Transport open tunnels through goproxy, with and without TLS, to a target
// that speaks first and to a site.
func TestGoproxy(t *testing.T) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path)
	}))
	defer site.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(nc, "220 mail.test\r\n")
			line, _ := bufio.NewReader(nc).ReadString('\n')
			fmt.Fprint(nc, "250 ", line)
			nc.Close()
		}
	})
	defer served.Wait()
	defer l.Close()
	for _, secure := range []bool{false, true} {
		p := goproxy.NewProxyHttpServer()
		p.OnRequest(goproxy.ReqHostIs("refused.test:443")).HandleConnect(goproxy.AlwaysReject)
		s := httptest.NewUnstartedServer(p)
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		defer s.Close()
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // certificates of the test
		d := &tunnel.Dialer{Proxy: u, TLSClientConfig: config}
		nc, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(time.Minute))
		r := bufio.NewReader(nc)
		if got, err := r.ReadString('\n'); got != "220 mail.test\r\n" || err != nil {
			t.Errorf("TLS %t: %q, %v", secure, got, err)
		}
		io.WriteString(nc, "NOOP\r\n")
		if got, err := io.ReadAll(r); string(got) != "250 NOOP\r\n" || err != nil {
			t.Errorf("TLS %t: %q, %v", secure, got, err)
		}
		nc.Close()
		var pe *tunnel.ProxyError
		if _, err := d.DialContext(t.Context(), "tcp", "refused.test:443"); !errors.As(err, &pe) {
			t.Errorf("TLS %t, refused: %v", secure, err)
		}
		tr := &client.Transport{Proxy: http.ProxyURL(u), TLSClientConfig: config}
		resp, err := tr.RoundTrip(httptest.NewRequest(http.MethodGet, site.URL+"/page", nil))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "/page" || err != nil {
			t.Errorf("TLS %t: %q, %v", secure, b, err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
}
