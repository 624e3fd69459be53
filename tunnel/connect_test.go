package tunnel

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestConnect sends a line each way through a tunnel, and half-closes.
func TestConnect(t *testing.T) {
	for _, way := range allWays {
		t.Run(way, func(t *testing.T) {
			e, o := newProxy(t, &Proxy{}), newOrigin(t)
			c, resp := e.dial(way, o.addr)
			if c == nil {
				t.Fatal(resp.Status)
			}
			if got := resp.Header.Get("Proxy-Status"); got != `sluice;next-hop="`+o.addr+`"` {
				t.Errorf("Proxy-Status: %s", got)
			}
			s := o.accept()
			write(t, c, "question")
			wantRead(t, s, "question")
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			wantEOF(t, s)
			write(t, s, "answer")
			wantRead(t, c, "answer")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			wantEOF(t, c)
			r := e.record()
			if r.End != EndClosed || r.Sent != 8 || r.Received != 6 || r.Status != 200 || r.Addr != o.addr ||
				r.Target != o.addr || r.Kind != KindTunnel || r.Duration <= 0 {
				t.Errorf("record: %+v", r)
			}
			if st := e.p.Stats(); st.Tunnels != 1 || st.Open != 0 || st.Sent != 8 || st.Received != 6 {
				t.Errorf("stats: %+v", st)
			}
		})
	}
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func wantRead(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Fatalf("read %q and %v, want %q", b[:n], err, want)
	}
}

func wantEOF(t *testing.T, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("read %q and %v, want the end", b, err)
	}
}

// TestConnectRefused asks for what is no target.
func TestConnectRefused(t *testing.T) {
	for _, way := range allWays {
		t.Run(way, func(t *testing.T) {
			e := newProxy(t, &Proxy{Policy: &Rules{}})
			for target, want := range map[string]int{
				"127.0.0.1:443":        403,
				"example.com:25":       403,
				"example.com:0":        400,
				"example.com:65536":    400,
				"user@example.com:443": 400,
				"0x7f.1:443":           400,
				"[fe80::1%25eth0]:443": 400,
			} {
				if way != overHTTP1 && way != overHTTPS1 && strings.ContainsAny(target, "@%") {
					continue // our client does not send it
				}
				c, resp := e.dial(way, target)
				if c != nil || resp.StatusCode != want {
					t.Errorf("%s: %s, want %d", target, resp.Status, want)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || way != overHTTP1 && len(body) == 0 {
					t.Errorf("%s: body %q, %v", target, body, err)
				}
				if status := resp.Header.Get("Proxy-Status"); !strings.HasPrefix(status, "sluice;error=http_request_") &&
					!strings.Contains(target, "@") { // to that, net/http answers
					t.Errorf("%s: Proxy-Status: %s", target, status)
				}
				_ = resp.Body.Close()
			}
		})
	}
}

// A client that does not wait has sent octets of its tunnel behind the head. Where the tunnel is
// refused they are no request, whatever they look like.
func TestConnectRefusedEarlyOctets(t *testing.T) {
	e := newProxy(t, &Proxy{Policy: &Rules{}})
	nc, err := net.Dial("tcp", e.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	const early = "GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"
	if _, err := io.WriteString(nc, "CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1:443\r\n\r\n"+early); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusForbidden || !resp.Close {
		t.Errorf("%s, closes: %v, %v", resp.Status, resp.Close, err)
	}
	if resp, err := http.ReadResponse(r, nil); err == nil {
		t.Errorf("the early octets are answered: %s", resp.Status)
	}
}

// TestNetHTTPTransport fetches a page of an https site with net/http's own client, which lets ALPN
// choose h2 with the proxy and then speaks HTTP/1.1.
func TestNetHTTPTransport(t *testing.T) {
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "page")
	}))
	defer site.Close()
	e := newProxy(t, &Proxy{})
	e.roots.AddCert(site.Certificate())
	for _, proxy := range []string{"http://" + e.plain, "https://" + e.tls} {
		tr := http.DefaultTransport.(*http.Transport).Clone()
		tr.Proxy, tr.TLSClientConfig = e.proxyURL(proxy), e.clientTLS()
		resp, err := (&http.Client{Transport: tr, Timeout: testTimeout}).Get(site.URL)
		if err != nil {
			t.Errorf("%s: %v", proxy, err)
			continue
		}
		wantRead(t, resp.Body, "page")
		_ = resp.Body.Close()
		tr.CloseIdleConnections()
		if r := e.record(); r.Kind != KindTunnel || r.Status != http.StatusOK {
			t.Errorf("record: %+v", r)
		}
	}
}

// The record of a target that is none says once what is wrong.
func TestConnectRefusedRecord(t *testing.T) {
	e := newProxy(t, &Proxy{})
	if c, resp := e.dial(overHTTP1, "example.com"); c != nil {
		t.Error(resp.Status)
	}
	if r := e.record(); strings.Count(r.Error, "names no port") != 1 {
		t.Errorf("%q", r.Error)
	}
}
