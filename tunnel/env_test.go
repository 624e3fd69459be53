package tunnel

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// The ways to a proxy.
const (
	overHTTP1  = "http1"
	overHTTPS1 = "http1-tls"
	overH2     = "h2"
	overH2C    = "h2c"
)

var allWays = []string{overHTTP1, overHTTPS1, overH2, overH2C}

// testTimeout is when a test gives up to wait for what is to come.
const testTimeout = 20 * time.Second

// proxyEnv is a proxy that listens with and without TLS.
type proxyEnv struct {
	t          *testing.T
	p          *Proxy
	srv        *server.Server
	plain, tls string // addresses
	roots      *x509.CertPool
	records    chan *Record
	header     string // that a connection begins with, as behind a load balancer
}

// newProxy serves p on 127.0.0.1 until the test ends. A nil Policy lets everything through.
func newProxy(t *testing.T, p *Proxy) *proxyEnv {
	t.Helper()
	e := &proxyEnv{t: t, p: p, records: make(chan *Record, 10_000)}
	if p.Policy == nil {
		p.Policy = allowAll()
	}
	p.Audit = func(r *Record) { e.records <- r }
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	e.roots = x509.NewCertPool()
	e.roots.AddCert(cert.Leaf)
	e.srv = &server.Server{Handler: p, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	e.srv.EnableConnectProtocol, e.srv.IgnoreALPN = true, true
	e.srv.MaxConcurrentStreams = 2000
	plain, secure := listen(t), listen(t)
	e.plain, e.tls = plain.Addr().String(), secure.Addr().String()
	var wg sync.WaitGroup
	wg.Go(func() { _ = e.srv.Serve(plain) })
	wg.Go(func() { _ = e.srv.ServeTLS(secure, "", "") })
	t.Cleanup(func() {
		_ = e.srv.Close()
		_ = p.Close()
		wg.Wait()
	})
	return e
}

// behindBalancer has the proxy listen behind a load balancer, too, to which dialRaw connects.
func (e *proxyEnv) behindBalancer() {
	e.t.Helper()
	e.header = "PROXY TCP4 192.0.2.1 192.0.2.2 4321 443\r\n"
	var wg sync.WaitGroup
	for addr, serve := range map[*string]func(net.Listener) error{
		&e.plain: e.srv.Serve,
		&e.tls:   func(l net.Listener) error { return e.srv.ServeTLS(l, "", "") },
	} {
		l := listen(e.t)
		*addr = l.Addr().String()
		wg.Go(func() { _ = serve(&ProxyProtocolListener{Listener: l, Trusted: prefixes("127.0.0.0/8")}) })
	}
	e.t.Cleanup(func() {
		_ = e.srv.Close()
		wg.Wait()
	})
}

func allowAll() Policy {
	ports, err := ParsePorts("any")
	if err != nil {
		panic(err)
	}
	return &Rules{AllowPrivate: true, Ports: ports}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// refusesTCP returns an address at which connections are refused. It is that of a connection, so
// that no other program listens there meanwhile.
func refusesTCP(t *testing.T) string {
	t.Helper()
	c, err := net.Dial("tcp", newOrigin(t).addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().String()
}

// refusesUDP returns an address at which datagrams are refused. It is that of a socket which takes
// those of another peer only.
func refusesUDP(t *testing.T) string {
	t.Helper()
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().String()
}

// record waits for the record of one tunnel or request.
func (e *proxyEnv) record() *Record {
	e.t.Helper()
	select {
	case r := <-e.records:
		return r
	case <-time.After(testTimeout):
		e.t.Fatal("no record")
		return nil
	}
}

// transport returns a client for HTTP/2 to the proxy.
func (e *proxyEnv) transport(way string) *client.Transport {
	tr := &client.Transport{TLSClientConfig: &tls.Config{RootCAs: e.roots}, Proxy: noProxy}
	if way == overH2C {
		tr.Protocols = new(http.Protocols)
		tr.Protocols.SetUnencryptedHTTP2(true)
	}
	e.t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// dial opens a tunnel, over a connection of its own.
func (e *proxyEnv) dial(way, target string, fields ...string) (tunnelConn, *http.Response) {
	e.t.Helper()
	header := make(http.Header)
	for i := 0; i < len(fields); i += 2 {
		header.Add(fields[i], fields[i+1])
	}
	if way == overHTTP1 || way == overHTTPS1 {
		return e.dialHTTP1(way, target, header)
	}
	return e.dialH2(e.transport(way), way, target, header)
}

func (e *proxyEnv) dialH2(tr *client.Transport, way, target string, header http.Header) (tunnelConn, *http.Response) {
	e.t.Helper()
	url := "https://" + e.tls
	if way == overH2C {
		url = "http://" + e.plain
	}
	req, err := http.NewRequest(http.MethodConnect, url, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Host, req.Header = target, header
	tunnel, resp, err := tr.Connect(req)
	if err != nil {
		e.t.Fatal(err)
	}
	if tunnel == nil {
		return nil, resp
	}
	_ = tunnel.SetDeadline(time.Now().Add(testTimeout))
	return tunnel, resp
}

func (e *proxyEnv) dialHTTP1(way, target string, header http.Header) (tunnelConn, *http.Response) {
	e.t.Helper()
	nc := e.dialRaw(way)
	var head []byte
	head = fmt.Appendf(head, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n", target)
	for name, values := range header {
		head = fmt.Appendf(head, "%s: %s\r\n", name, values[0])
	}
	if _, err := nc.Write(append(head, "\r\n"...)); err != nil {
		e.t.Fatal(err)
	}
	r := bufio.NewReader(nc)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		e.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, resp
	}
	return &readerConn{tunnelConn: nc, r: r}, resp
}

// dialRaw connects to the proxy for HTTP/1.1.
func (e *proxyEnv) dialRaw(way string) tunnelConn {
	e.t.Helper()
	addr := e.plain
	if way == overHTTPS1 {
		addr = e.tls
	}
	tcp, err := net.Dial("tcp", addr)
	if err != nil {
		e.t.Fatal(err)
	}
	write(e.t, tcp, e.header)
	nc := tcp.(tunnelConn)
	if way == overHTTPS1 {
		nc = tls.Client(tcp, &tls.Config{RootCAs: e.roots, ServerName: "127.0.0.1"})
	}
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	e.t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// tunnelConn is a tunnel as the client has it.
type tunnelConn interface {
	net.Conn
	CloseWrite() error
}

// readerConn is a connection of which a reader may have read ahead.
type readerConn struct {
	tunnelConn
	r *bufio.Reader
}

func (c *readerConn) Read(p []byte) (int, error) { return c.r.Read(p) }

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// origin is a listener whose connections the test takes one by one.
type origin struct {
	t    *testing.T
	l    net.Listener
	addr string
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{t: t, l: listen(t)}
	o.addr = o.l.Addr().String()
	t.Cleanup(func() { _ = o.l.Close() })
	return o
}

// accept returns the next connection.
func (o *origin) accept() *net.TCPConn {
	o.t.Helper()
	c, err := o.l.Accept()
	if err != nil {
		o.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(testTimeout))
	o.t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func (e *proxyEnv) proxyURL(s string) func(*http.Request) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		e.t.Fatal(err)
	}
	return http.ProxyURL(u)
}

func (e *proxyEnv) clientTLS() *tls.Config { return &tls.Config{RootCAs: e.roots} }
