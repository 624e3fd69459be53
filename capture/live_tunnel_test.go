package capture

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// newInterceptor starts a proxy that ends TLS, shows it to l and sets a field, and has the client
// of the test server use it.
func newInterceptor(t *testing.T, s *testServer, l *Live) {
	t.Helper()
	caCert, err := selfsigned.Certificate("ca.example")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := tunnel.NewCA(caCert)
	if err != nil {
		t.Fatal(err)
	}
	origin, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	rules := &tunnel.Rules{AllowPrivate: true}
	if rules.Ports, err = tunnel.ParsePorts(origin.Port()); err != nil {
		t.Fatal(err)
	}
	roots, trusted := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(s.cert)
	trusted.AddCert(ca.Certificate())
	p := &tunnel.Proxy{
		Policy: rules,
		Intercept: &tunnel.Interceptor{
			CA: ca, RootCAs: roots, Tracer: l.Intercept(),
			SetFields: func(context.Context, *tunnel.Target, string) (http.Header, error) {
				return http.Header{"X-Token": {"top secret"}}, nil
			},
		},
	}
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv, served := &server.Server{Handler: p}, make(chan error, 1)
	go func() { served <- srv.Serve(nl) }()
	t.Cleanup(func() {
		s.tr.CloseIdleConnections()
		_ = p.Close()
		_ = srv.Close()
		<-served
	})
	s.tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: nl.Addr().String()})
	s.tr.TLSClientConfig = &tls.Config{RootCAs: trusted}
}

// Both legs of an intercepted tunnel are shown, each with the other as its twin. What the proxy
// sets is on the origin's leg alone, and hidden.
func TestLiveIntercept(t *testing.T) {
	for _, show := range []bool{false, true} {
		r := record()
		l := &Live{Handler: r.handle, Options: Options{ShowSecrets: show}}
		s := newTestServer(t, func(*server.Server) {}, nil)
		newInterceptor(t, s, l)
		if got := s.get(t, "/x"); got != "body hello /x" {
			t.Fatalf("the answer is %q", got)
		}
		s.tr.CloseIdleConnections()
		r.wait(t, 2)
		byLeg := map[string]Connection{}
		for _, c := range r.conns {
			byLeg[c.Leg] = c
		}
		a, b := byLeg["client"], byLeg["origin"]
		if len(r.conns) != 2 || a.Twin != b.ID || b.Twin != a.ID || a.ID == b.ID || a.Protocol != HTTP2 || b.Found != "alpn" {
			t.Errorf("the connections are %+v", r.conns)
		}
		if "https://"+b.Server.String() != s.url || !a.Client.IsValid() || !a.Server.IsValid() || !b.Client.IsValid() {
			t.Errorf("the addresses are %v to %v and %v to %v", a.Client, a.Server, b.Client, b.Server)
		}
		if a.TLS.ALPN != "h2" || b.TLS.ALPN != "h2" {
			t.Errorf("TLS is %+v and %+v", a.TLS, b.TLS)
		}
		const secret = "top secret"
		want := Field{Name: "x-token", Value: secret, NeverIndex: true}
		for id, token := range map[uint64]bool{a.ID: false, b.ID: true} {
			fields := requestFields(r.frames[id])
			if !slices.ContainsFunc(fields, func(f Field) bool { return f.Name == ":path" && f.Value == "/x" }) {
				t.Errorf("connection %d has the fields %v", id, fields)
			}
			i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == "x-token" })
			if (i >= 0) != token {
				t.Errorf("connection %d has the fields %v", id, fields)
			}
			switch {
			case i < 0:
			case show && fields[i] != want:
				t.Errorf("the field is %+v", fields[i])
			case !show && (!fields[i].Hidden || fields[i].Value == secret):
				t.Errorf("the field is %+v", fields[i])
			}
		}
		if r.ends[a.ID].How != "closed" || r.ends[b.ID].How != "closed" {
			t.Errorf("the ends are %+v", r.ends)
		}
	}
}

// requestFields are those of the first header block of the client.
func requestFields(frames []Frame) []Field {
	for _, f := range frames {
		if f.Dir == Client && f.Fields != nil {
			return f.Fields
		}
	}
	return nil
}

// HTTP/1.1 in an intercepted tunnel is shown by its messages.
func TestLiveInterceptHTTP1(t *testing.T) {
	r := record()
	l := &Live{Handler: r.handle}
	s := newTestServer(t, func(*server.Server) {}, nil)
	newInterceptor(t, s, l)
	s.tr.Protocols = new(http.Protocols)
	s.tr.Protocols.SetHTTP1(true)
	if got := s.get(t, "/x"); got != "body hello /x" {
		t.Fatalf("the answer is %q", got)
	}
	s.tr.CloseIdleConnections()
	r.wait(t, 2)
	for _, c := range r.conns {
		if c.Protocol != HTTP1 || c.Leg == "" || c.Twin == 0 {
			t.Errorf("the connection is %+v", c)
		}
		if e := r.ends[c.ID]; e.Octets[Client] < 50 || e.Octets[Server] < 50 || e.Requests != 1 || e.How != "closed" {
			t.Errorf("the end is %+v", e)
		}
	}
	slices.Sort(r.messages)
	const request, response = "POST /x HTTP/1.1", "HTTP/1.1 200 OK"
	if want := []string{response, response, request, request}; !slices.Equal(r.messages, want) {
		t.Errorf("the messages are %q", r.messages)
	}
	for _, q := range r.requests {
		if q.Method != "POST" || q.Status != 200 || q.Body != [2]int64{5, 13} {
			t.Errorf("the request is %+v", q)
		}
	}
}

// A tunnel of which one leg is beyond the limit, and one that goes on when the Live is closed.
func TestLiveInterceptLimits(t *testing.T) {
	r := record()
	l := &Live{Handler: r.handle, MaxConnections: 3}
	i := l.Intercept()
	cs := []*tunnel.InterceptedConn{{Protocol: "h2"}, {Protocol: "h2"}, {Protocol: "http/1.1"}}
	for _, c := range cs {
		i.TraceConn(c)
		i.TraceFrame(c, tunnel.OriginLeg, settings)
		i.TraceFrame(c, tunnel.ClientLeg, settings)
		i.TraceOctets(c, tunnel.ClientLeg, 0, []byte("GET"))
	}
	if len(r.conns) != 3 || l.Skipped() != 3 || r.conns[2].Twin != 0 || len(r.frames[3]) != 1 {
		t.Errorf("%d connections are shown, %d skipped", len(r.conns), l.Skipped())
	}
	if f := r.frames[2]; len(f) != 1 || f[0].Dir != Client {
		t.Errorf("the frames to the origin are %+v", f)
	}
	i.TraceEnd(cs[0], nil)
	l.Close()
	calls := r.calls
	for _, c := range cs {
		i.TraceFrame(c, tunnel.OriginLeg, settings)
		i.TraceEnd(c, nil)
	}
	if len(r.ends) != 3 || r.ends[1].How != "closed" || r.ends[3].How != "open" || r.calls != calls {
		t.Errorf("the ends are %+v, and %d calls came behind", r.ends, r.calls-calls)
	}
}
