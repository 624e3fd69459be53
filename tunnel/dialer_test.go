package tunnel

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// relayTo answers CONNECT with a tunnel to the target, with half-close.
func relayTo(w http.ResponseWriter, r *http.Request) {
	far, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.Header().Set("Proxy-Status", "test; error=connection_refused")
		http.Error(w, "the test's proxy cannot reach "+r.Host, http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, err := acceptTunnel(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer near.Close()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(far, near)
		_ = far.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(near, far)
	_ = near.(interface{ CloseWrite() error }).CloseWrite()
	up.Wait()
}

// acceptTunnel answers CONNECT with 200.
func acceptTunnel(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	if r.ProtoMajor == 2 {
		return server.AcceptConnect(w)
	}
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	_, err = io.WriteString(nc, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
	return nc, err
}

// testProxy is a proxy of package server.
type testProxy struct {
	t    *testing.T
	addr string
	pool *x509.CertPool
	mu   sync.Mutex
	seen []string // protocols of the requests
}

// startTestProxy serves h, which may be nil for relayTo, over TLS where secure, with the protocols
// that protos has: "h1", "h2" or both.
func startTestProxy(t *testing.T, secure bool, protos string, h http.HandlerFunc) *testProxy {
	t.Helper()
	cert, err := selfsigned.Certificate("localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &testProxy{t: t, addr: l.Addr().String(), pool: x509.NewCertPool()}
	p.pool.AddCert(leaf)
	if h == nil {
		h = relayTo
	}
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Protocols: new(http.Protocols),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.seen = append(p.seen, r.Method+" "+r.Proto)
			p.mu.Unlock()
			h(w, r)
		}),
	}
	srv.Protocols.SetHTTP1(strings.Contains(protos, "h1"))
	srv.Protocols.SetHTTP2(strings.Contains(protos, "h2"))
	srv.Protocols.SetUnencryptedHTTP2(strings.Contains(protos, "h2"))
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

func (p *testProxy) protocols() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.seen, ", ")
}

// startSOCKS is a SOCKS 5 proxy that wants the user "us" with the password "er".
func startSOCKS(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { serveSOCKS(nc) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

func serveSOCKS(nc net.Conn) {
	defer nc.Close()
	r := bufio.NewReader(nc)
	next := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(r, b)
		return b
	}
	next(int(next(2)[1])) // the methods
	_, _ = nc.Write([]byte{5, 2})
	user := string(next(int(next(2)[1])))
	password := string(next(int(next(1)[0])))
	if user != "us" || password != "er" {
		_, _ = nc.Write([]byte{1, 1})
		return
	}
	_, _ = nc.Write([]byte{1, 0})
	var host string
	switch kind := next(4)[3]; kind {
	case 1:
		host = net.IP(next(4)).String()
	case 3:
		host = string(next(int(next(1)[0])))
	}
	port := next(2)
	far, err := net.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1]))))
	if err != nil {
		_, _ = nc.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	defer far.Close()
	_, _ = nc.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(far, r)
		_ = far.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(nc, far)
	_ = nc.(*net.TCPConn).CloseWrite()
	up.Wait()
}

// startEcho is a target that greets, sends back what it gets, and says goodbye after the end.
func startEcho(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer nc.Close()
				_, _ = io.WriteString(nc, "220 hello\r\n")
				_, _ = io.Copy(nc, nc)
				_, _ = io.WriteString(nc, "221 bye\r\n")
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

// wantTunnel has the echo greet, answer and say goodbye, and deadlines pass meanwhile.
func wantTunnel(t *testing.T, nc net.Conn) {
	t.Helper()
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len("220 hello\r\n"))
	if _, err := io.ReadFull(nc, b); err != nil || string(b) != "220 hello\r\n" {
		t.Fatalf("greeting %q, %v", b, err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := nc.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Read after its deadline: %d, %v", n, err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := nc.Write(sent); err != nil {
			t.Errorf("Write: %v", err)
		}
		if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
	})
	got, err := io.ReadAll(nc)
	wg.Wait()
	if err != nil || !bytes.Equal(got, append(sent, "221 bye\r\n"...)) {
		t.Errorf("%d octets came back, %v", len(got), err)
	}
}

// kinds are a proxy of each kind, as a Dialer and the request that it makes.
func proxyKinds(t *testing.T) map[string]struct {
	dialer *Dialer
	proxy  *testProxy
	want   string
} {
	type kind = struct {
		dialer *Dialer
		proxy  *testProxy
		want   string
	}
	dialer := func(scheme string, p *testProxy) *Dialer {
		d := &Dialer{Proxy: &url.URL{Scheme: scheme, Host: p.addr}, TLSClientConfig: &tls.Config{RootCAs: p.pool}}
		t.Cleanup(d.CloseIdleConnections)
		return d
	}
	clear, h1, both := startTestProxy(t, false, "h1 h2", nil), startTestProxy(t, true, "h1", nil),
		startTestProxy(t, true, "h1 h2", nil)
	h2c := startTestProxy(t, false, "h1 h2", nil)
	socks := &testProxy{t: t, addr: startSOCKS(t)}
	s := dialer("socks5", socks)
	s.Proxy.User = url.UserPassword("us", "er")
	chained, last := startTestProxy(t, true, "h2", nil), startTestProxy(t, true, "h2", nil)
	outer, chain := dialer("https", chained), dialer("https", last)
	chain.DialProxy = outer.DialContext
	return map[string]kind{
		"http":              {dialer("http", clear), clear, "CONNECT HTTP/1.1"},
		"https, HTTP/1.1":   {dialer("https", h1), h1, "CONNECT HTTP/1.1"},
		"https, HTTP/2":     {dialer("https", both), both, "CONNECT HTTP/2.0"},
		"h2c":               {dialer("h2c", h2c), h2c, "CONNECT HTTP/2.0"},
		"socks5":            {s, socks, ""},
		"HTTP/2 in HTTP/2":  {chain, last, "CONNECT HTTP/2.0"},
		"without any proxy": {&Dialer{}, &testProxy{}, ""},
	}
}

func TestDialerKinds(t *testing.T) {
	echo := startEcho(t)
	for name, k := range proxyKinds(t) {
		t.Run(name, func(t *testing.T) {
			nc, err := k.dialer.DialContext(t.Context(), "tcp", echo)
			if err != nil {
				t.Fatal(err)
			}
			wantTunnel(t, nc)
			if got := k.proxy.protocols(); got != k.want {
				t.Errorf("the proxy got %s", got)
			}
			if _, isTunnel := nc.(*conn.Tunnel); isTunnel != strings.HasSuffix(k.want, "2.0") {
				t.Errorf("the tunnel is a %T", nc)
			}
		})
	}
}

// A refused tunnel says why, whatever the protocol.
func TestDialerRefused(t *testing.T) {
	target := refusesTCP(t)
	for name, k := range proxyKinds(t) {
		if k.proxy.addr == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			_, err := k.dialer.DialContext(t.Context(), "tcp", target)
			var pe *ProxyError
			if !errors.As(err, &pe) || pe.Target != target || pe.Addr != k.dialer.Proxy.Host {
				t.Fatalf("%v", err)
			}
			if k.want == "" {
				return // SOCKS
			}
			if pe.StatusCode != 502 || pe.ProxyStatus != "test; error=connection_refused" ||
				!strings.HasPrefix(string(pe.Body), "the test's proxy cannot reach") || pe.Err != nil {
				t.Errorf("%+v", pe)
			}
			want := "http2: proxy " + pe.Addr + " refuses CONNECT to " + target +
				": 502 Bad Gateway (test; error=connection_refused)"
			if err.Error() != want {
				t.Errorf("the text is %s", err)
			}
		})
	}
}
