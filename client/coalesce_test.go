package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// originServer is a server for several hosts, and has the dial functions of clients that find it
// under every name.
type originServer struct {
	t     *testing.T
	l     *memconn.Listener
	roots *x509.CertPool

	mu    sync.Mutex
	dials []string // addresses
}

// newOriginServer starts a server with a certificate for hosts, which says to answer for origins.
func newOriginServer(t *testing.T, h http.Handler, origins []string, hosts ...string) *originServer {
	t.Helper()
	needsNoSockets(t)
	cert, err := selfsigned.Certificate(hosts...)
	if err != nil {
		t.Fatal(err)
	}
	e := &originServer{t: t, l: memconn.Listen(testLink), roots: x509.NewCertPool()}
	e.roots.AddCert(cert.Leaf)
	srv := &server.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	srv.Origins = origins
	srv.AltServices = map[string]string{
		"https://a.test": `h2="alt.test:443"`, "https://foreign.test": `h2="evil.test:443"`,
	}
	served := make(chan error, 1)
	go func() { served <- srv.ServeTLS(e.l, "", "") }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-served
	})
	return e
}

func (e *originServer) transport(adjust ...func(*Transport)) *Transport {
	tr := &Transport{Proxy: noProxy, TLSClientConfig: &tls.Config{RootCAs: e.roots}, Coalesce: true}
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		e.mu.Lock()
		e.dials = append(e.dials, addr)
		e.mu.Unlock()
		return e.l.Dial(ctx, network, addr)
	}
	for _, f := range adjust {
		f(tr)
	}
	e.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// dialed returns the addresses that were dialed, and forgets them.
func (e *originServer) dialed() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := strings.Join(e.dials, " ")
	e.dials = nil
	return s
}

// fetch posts body, or gets without one, and returns status and answer.
func (e *originServer) fetch(tr *Transport, url string, body io.Reader) string {
	e.t.Helper()
	method := "GET"
	if body != nil {
		method = "POST"
	}
	resp, err := tr.RoundTrip(newRequest(e.t, method, url, body))
	if err != nil {
		e.t.Fatalf("%s: %v", url, err)
	}
	return fmt.Sprint(resp.StatusCode, " ", readAll(e.t, resp))
}

// byHost answers with host and body, and with 421 for what a connection was not made for, where
// picky says so.
func byHost(picky bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if picky && r.TLS.ServerName != r.Host {
			w.WriteHeader(http.StatusMisdirectedRequest)
			return
		}
		fmt.Fprintf(w, "%s %s", r.Host, b)
	}
}

func TestCoalesce(t *testing.T) {
	origins := []string{
		"https://a.test",
		"https://B.test:443",
		"https://c.test:8443",
		"https://foreign.test",
		"http://b.test",
		"nonsense",
		"https://d.test/path",
	}
	for _, tt := range []struct {
		name   string
		url    string
		dials  string // after a request to a.test
		adjust func(*Transport)
	}{
		{"claimed", "https://b.test/", "", nil},
		{"another port", "https://c.test:8443/", "", nil},
		{"a port that is not claimed", "https://b.test:444/", "b.test:444", nil},
		{"not claimed", "https://d.test/", "d.test:443", nil},
		{"off", "https://b.test/", "b.test:443", func(tr *Transport) { tr.Coalesce = false }},
		{
			"not verified", "https://b.test/", "b.test:443",
			func(tr *Transport) { tr.TLSClientConfig.InsecureSkipVerify = true },
		},
		{"the certificate is for others", "https://foreign.test/", "foreign.test:443", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newOriginServer(t, byHost(false), origins, "a.test", "b.test", "c.test", "d.test")
			tr := e.transport(func(tr *Transport) {
				if tt.adjust != nil {
					tt.adjust(tr)
				}
			})
			e.fetch(tr, "https://a.test/", nil) // ORIGIN comes before the response
			if got := e.dialed(); got != "a.test:443" {
				t.Fatalf("dialed %q at first", got)
			}
			resp, err := tr.RoundTrip(newRequest(t, "GET", tt.url, nil))
			if foreign := strings.Contains(tt.url, "foreign"); (err != nil) != foreign {
				t.Fatalf("error %v", err)
			}
			if err == nil {
				if got, want := readAll(t, resp), resp.Request.Host+" "; got != want {
					t.Errorf("answer %q, want %q", got, want)
				}
			}
			if got := e.dialed(); got != tt.dials {
				t.Errorf("dialed %q, want %q", got, tt.dials)
			}
		})
	}
}

// 421 sends a request to a connection of its own, and the next ones at once (RFC 9110 §15.5.20).
func TestMisdirected(t *testing.T) {
	hosts := []string{"a.test", "b.test"}
	for _, tt := range []struct {
		name string
		body func() io.Reader
		want string
	}{
		{"no body", func() io.Reader { return nil }, "200 b.test "},
		{"a body in memory", func() io.Reader { return strings.NewReader("hello") }, "200 b.test hello"},
		{"a stream that is kept", func() io.Reader { return streamOnly{strings.NewReader("hello")} }, "200 b.test hello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newOriginServer(t, byHost(true), []string{"https://a.test", "https://b.test"}, hosts...)
			tr := e.transport()
			e.fetch(tr, "https://a.test/", nil)
			for range 3 {
				if got := e.fetch(tr, "https://b.test/", tt.body()); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
			if got := e.dialed(); got != "a.test:443 b.test:443" {
				t.Errorf("dialed %q", got)
			}
			if n := tr.Stats().Retries; n != 1 {
				t.Errorf("%d requests were sent again, want 1", n)
			}
		})
	}
	t.Run("a stream that was sent, which its sender has yet to note", func(t *testing.T) {
		e := newOriginServer(t, byHost(true), []string{"https://a.test", "https://b.test"}, hosts...)
		tr := e.transport()
		e.fetch(tr, "https://a.test/", nil)
		answered := make(chan bool)
		var sent atomic.Int32
		trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
			if sent.Add(1) == 1 {
				<-answered
			}
		}}
		req := newRequest(t, "POST", "https://b.test/", streamOnly{strings.NewReader("hello")})
		resp, err := tr.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
		close(answered)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(resp.StatusCode, " ", readAll(t, resp)); got != "200 b.test hello" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a stream that is being sent", func(t *testing.T) {
		b := &gatedBody{data: []byte("hello"), first: 2, gate: make(chan struct{})}
		h := func(w http.ResponseWriter, r *http.Request) {
			if r.TLS.ServerName != r.Host {
				w.WriteHeader(http.StatusMisdirectedRequest) // without a look at the body
				return
			}
			if r.Host == "b.test" {
				close(b.gate)
			}
			byHost(false)(w, r)
		}
		e := newOriginServer(t, http.HandlerFunc(h), []string{"https://a.test", "https://b.test"}, hosts...)
		tr := e.transport()
		e.fetch(tr, "https://a.test/", nil)
		if got := e.fetch(tr, "https://b.test/", b); got != "200 b.test hello" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a body that is gone", func(t *testing.T) {
		e := newOriginServer(t, byHost(true), []string{"https://b.test"}, hosts...)
		tr := e.transport(func(tr *Transport) { tr.ReplayBuffer = -1 })
		e.fetch(tr, "https://a.test/", nil)
		if got := e.fetch(tr, "https://b.test/", streamOnly{strings.NewReader("hello")}); got != "421 " {
			t.Errorf("got %q, want the server's 421", got)
		}
	})
	t.Run("on a connection of its own", func(t *testing.T) {
		e := newOriginServer(t, func() http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusMisdirectedRequest) }
		}(), nil, hosts...)
		tr := e.transport()
		if got := e.fetch(tr, "https://a.test/", nil); got != "421 " {
			t.Errorf("got %q, want the server's 421", got)
		}
	})
}

// The origins of a connection are forgotten when it ends.
func TestCoalescedOriginsEnd(t *testing.T) {
	e := newOriginServer(t, byHost(false), []string{"https://b.test"}, "a.test", "b.test")
	tr := e.transport()
	e.fetch(tr, "https://a.test/", nil)
	p := tr.once.ownPool
	p.mu.Lock()
	n := len(p.coalesced)
	p.mu.Unlock()
	if n != 1 {
		t.Fatalf("%d claims, want 1", n)
	}
	tr.CloseIdleConnections()
	p.mu.Lock()
	n = len(p.coalesced)
	p.mu.Unlock()
	if n != 0 {
		t.Errorf("%d claims are left of a connection that is gone", n)
	}
	if got := e.fetch(tr, "https://b.test/", nil); got != "200 b.test " {
		t.Errorf("got %q", got)
	}
}

// A server may name origins without end: the number that is kept is bounded.
func TestCoalescedOriginsAreBounded(t *testing.T) {
	hosts := make([]string, maxCoalescedOrigins+50)
	origins := make([]string, len(hosts))
	for i := range hosts {
		hosts[i] = fmt.Sprintf("h%d.test", i)
		origins[i] = "https://" + hosts[i]
	}
	e := newOriginServer(t, byHost(false), origins, hosts...)
	tr := e.transport()
	e.fetch(tr, "https://h0.test/", nil)
	p := tr.once.ownPool
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.coalesced); n == 0 || n > maxCoalescedOrigins {
		t.Errorf("%d claims, want at most %d", n, maxCoalescedOrigins)
	}
}

func TestAltSvcHandler(t *testing.T) {
	var mu sync.Mutex
	var got []string
	e := newOriginServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Alt-Svc", `h3=":443"`)
		w.Header().Add("Alt-Svc", "clear")
	}), nil, "a.test")
	tr := e.transport(func(tr *Transport) {
		tr.AltSvcHandler = func(a AltSvc) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fmt.Sprint(a.Origin, " ", a.Value, " ", a.Frame, " ", a.Conn != nil))
		}
	})
	e.fetch(tr, "https://a.test/", nil)
	want := []string{
		`https://a.test h2="alt.test:443" true true`,
		`https://a.test h3=":443" false true`,
		"https://a.test clear false true",
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(got, want) {
		t.Errorf("told of %q, want %q", got, want)
	}
}
