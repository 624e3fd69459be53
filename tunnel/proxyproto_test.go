package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// lockedLog is a log that goroutines may write to.
type lockedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// proxyHeaderOf returns a header of a version for a client.
func proxyHeaderOf(version byte, client, server string) []byte {
	h := proxyproto.HeaderProxyFromAddrs(version,
		net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client)), net.TCPAddrFromAddrPort(netip.MustParseAddrPort(server)))
	b, err := h.Format()
	if err != nil {
		panic(err)
	}
	return b
}

// proxyProtocolServer serves behind a ProxyProtocolListener, and answers with the addresses that a
// handler sees.
func proxyProtocolServer(t *testing.T, secure bool, trusted ...string) (addr string, logs *lockedLog) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logs = &lockedLog{}
	pl := &ProxyProtocolListener{
		Listener: l, Trusted: prefixes(trusted...), Logger: slog.New(slog.NewTextHandler(logs, nil)),
	}
	srv := &server.Server{ErrorLog: log.New(logs, "", 0)}
	srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.RemoteAddr, " ", r.Context().Value(http.LocalAddrContextKey))
	})
	ended := make(chan error, 1)
	if secure {
		cert, err := selfsigned.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		go func() { ended <- srv.ServeTLS(pl, "", "") }()
	} else {
		go func() { ended <- srv.Serve(pl) }()
	}
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String(), logs
}

// fetchBehind asks for a page with header in front of the connection, or of its TLS.
func fetchBehind(t *testing.T, addr string, header []byte, secure, http2 bool) (string, error) {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!http2)
	p.SetHTTP2(http2 && secure)
	p.SetUnencryptedHTTP2(http2 && !secure)
	tr := &http.Transport{
		Protocols: &p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // of this test
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			if err == nil {
				_, err = nc.Write(header)
			}
			return nc, err
		},
	}
	defer tr.CloseIdleConnections()
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get(scheme + addr)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// Handlers see the client's address, whatever is spoken behind the header.
func TestProxyProtocol(t *testing.T) {
	for _, secure := range []bool{false, true} {
		addr, logs := proxyProtocolServer(t, secure, "127.0.0.0/8")
		for _, http2 := range []bool{false, true} {
			proto := "HTTP/1.1 "
			if http2 {
				proto = "HTTP/2.0 "
			}
			tlvs := proxyproto.HeaderProxyFromAddrs(2, &net.TCPAddr{IP: net.IP{192, 0, 2, 7}, Port: 4711},
				&net.TCPAddr{IP: net.IP{192, 0, 2, 1}, Port: 443})
			large := proxyproto.TLV{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: make([]byte, 3000)}
			if err := tlvs.SetTLVs([]proxyproto.TLV{large}); err != nil {
				t.Fatal(err)
			}
			withTLVs, err := tlvs.Format()
			if err != nil {
				t.Fatal(err)
			}
			for name, c := range map[string]struct {
				header []byte
				want   string
			}{
				"v1":       {proxyHeaderOf(1, "192.0.2.7:4711", "192.0.2.1:443"), "192.0.2.7:4711 192.0.2.1:443"},
				"v2":       {proxyHeaderOf(2, "192.0.2.7:4711", "192.0.2.1:443"), "192.0.2.7:4711 192.0.2.1:443"},
				"v1, IPv6": {proxyHeaderOf(1, "[2001:db8::7]:47", "[2001:db8::1]:443"), "[2001:db8::7]:47 [2001:db8::1]:443"},
				"v2, IPv6": {proxyHeaderOf(2, "[2001:db8::7]:47", "[2001:db8::1]:443"), "[2001:db8::7]:47 [2001:db8::1]:443"},
				"v2, TLVs": {withTLVs, "192.0.2.7:4711 192.0.2.1:443"},
				"UNKNOWN":  {[]byte("PROXY UNKNOWN\r\n"), "127.0.0.1"},
				"LOCAL":    {append(bytes.Clone(proxyproto.SIGV2), 0x20, 0, 0, 0), "127.0.0.1"},
			} {
				got, err := fetchBehind(t, addr, c.header, secure, http2)
				if err != nil || !strings.HasPrefix(got, proto+c.want) {
					t.Errorf("%s, %v: %q, %v, want %q", name, secure, got, err, proto+c.want)
				}
			}
		}
		if got := logs.String(); got != "" {
			t.Errorf("logged: %s", got)
		}
	}
}

// The addresses of a header are not believed where the load balancer is not trusted, and a
// connection of others needs none.
func TestProxyProtocolTrust(t *testing.T) {
	addr, _ := proxyProtocolServer(t, false, "192.0.2.0/24", "::1/128")
	if got, err := fetchBehind(t, addr, nil, false, false); err != nil || !strings.HasPrefix(got, "HTTP/1.1 127.0.0.1:") {
		t.Errorf("without a header: %q, %v", got, err)
	}
	header := proxyHeaderOf(1, "192.0.2.7:4711", "192.0.2.1:443")
	if got, err := fetchBehind(t, addr, header, false, false); err == nil {
		t.Errorf("with a header: %q", got)
	}
	trusting, logs := proxyProtocolServer(t, false, "127.0.0.1/32")
	if got, err := fetchBehind(t, trusting, nil, false, false); err == nil {
		t.Errorf("without the header that is due: %q", got)
	}
	if got := logs.String(); !strings.Contains(got, "no PROXY protocol header") || !strings.Contains(got, "127.0.0.1:") {
		t.Errorf("logged: %s", got)
	}
}

// memListener is a ProxyProtocolListener in memory; a dialed connection comes from 127.0.0.1.
type memListener struct {
	l    *ProxyProtocolListener
	mem  *memconn.Listener
	logs *lockedLog
}

// tcpAddressed has the connections of a memconn.Listener come from a TCP address.
type tcpAddressed struct{ net.Listener }

func (l tcpAddressed) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	from := &net.TCPAddr{IP: net.IP{127, 0, 0, 1}, Port: 1}
	below := netconn.PrefixedStream{Prefixed: netconn.Prefixed{Conn: nc}}
	return &proxiedConn{PrefixedStream: below, remote: from, local: nc.LocalAddr()}, nil
}

func newMemListener() *memListener {
	m := &memListener{mem: memconn.Listen(memconn.Options{}), logs: &lockedLog{}}
	m.l = &ProxyProtocolListener{
		Listener: tcpAddressed{m.mem}, Trusted: prefixes("127.0.0.0/8"), HeaderTimeout: 3 * time.Second,
		Logger: slog.New(slog.NewTextHandler(m.logs, nil)),
	}
	return m
}

func (m *memListener) dial(t *testing.T, octets string) net.Conn {
	t.Helper()
	nc, err := m.mem.Dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(nc, octets); err != nil {
		t.Fatal(err)
	}
	return nc
}

// A health probe, which is closed with nothing but a header or without one, is not returned and not
// logged; what is wrong is, and holds up no other connection.
func TestProxyProtocolProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemListener()
		v1, v2 := string(
			proxyHeaderOf(1, "192.0.2.7:1", "192.0.2.1:2"),
		), string(
			proxyHeaderOf(2, "192.0.2.7:1", "192.0.2.1:2"),
		)
		got := make(chan string, 10)
		go func() {
			for {
				nc, err := m.l.Accept()
				if err != nil {
					close(got)
					return
				}
				line, err := bufio.NewReader(nc).ReadString('\n')
				got <- fmt.Sprint(nc.RemoteAddr(), " ", line, err)
				_ = nc.Close()
			}
		}()
		for _, probe := range []string{"", v1, v2} {
			_ = m.dial(t, probe).Close()
		}
		synctest.Wait()
		if s := m.logs.String(); s != "" {
			t.Errorf("logged of probes: %s", s)
		}
		for _, fault := range []struct {
			octets, logged string
			close          bool
		}{
			{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "something else", false},
			{"GET /", "something else", true},
			{v1[:20], "unexpected EOF", true},
			{v2[:20], "unexpected EOF", true},
			{"PROXY " + strings.Repeat("x", 200), "107 bytes or less", false},
			{"PROXY TCP4 a b c d\r\n", "invalid", false},
			{"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", "65535 octets", false},
			{v2[:16], "timeout", false},
			{"", "timeout", false},
		} {
			nc := m.dial(t, fault.octets)
			if fault.close {
				_ = nc.Close()
			} else if b, err := io.ReadAll(nc); len(b) > 0 || err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("%q: %q, %v", fault.octets, b, err)
			}
			synctest.Wait()
			if s := m.logs.String(); !strings.Contains(s, fault.logged) {
				t.Errorf("%q: logged: %s", fault.octets, s)
			}
			m.logs.mu.Lock()
			m.logs.b.Reset()
			m.logs.mu.Unlock()
		}
		// A connection is returned though another one is silent, and though it has sent nothing
		// behind the header for a long time.
		silent := m.dial(t, "")
		ahead := m.dial(t, v1)
		_, _ = io.WriteString(m.dial(t, v2), "hello\n")
		if s := <-got; s != "192.0.2.7:1 hello\n<nil>" {
			t.Error(s)
		}
		time.Sleep(time.Minute)
		_, _ = io.WriteString(ahead, "at last\n")
		if s := <-got; s != "192.0.2.7:1 at last\n<nil>" {
			t.Error(s)
		}
		_ = silent.Close()
		late := m.dial(t, "")
		if err := m.l.Close(); err != nil {
			t.Error(err)
		}
		if b, err := io.ReadAll(late); len(b) > 0 {
			t.Errorf("after Close: %q, %v", b, err)
		}
		if s, ok := <-got; ok {
			t.Errorf("unexpected: %s", s)
		}
	})
}

// failingListener fails at first for a while, and then for good.
type failingListener struct {
	net.Listener
	errs []error
}

type temporaryError struct{ error }

func (temporaryError) Temporary() bool { return true }

func (l *failingListener) Accept() (net.Conn, error) {
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, err
}

// Errors of the listener below are returned; the last one by every further Accept.
func TestProxyProtocolListenerFails(t *testing.T) {
	once, last := temporaryError{errors.New("no descriptors")}, errors.New("gone")
	l := &ProxyProtocolListener{Listener: &failingListener{errs: []error{once, once, last}}}
	for i, want := range []error{once, once, last, last} {
		if nc, err := l.Accept(); nc != nil || !errors.Is(err, want) {
			t.Errorf("%d: %v, %v, want %v", i, nc, err, want)
		}
	}
}

// No header makes the reader panic, or read beyond it.
func FuzzProxyHeader(f *testing.F) {
	f.Add(proxyHeaderOf(1, "192.0.2.7:1", "192.0.2.1:2"))
	f.Add(proxyHeaderOf(2, "[2001:db8::7]:1", "[2001:db8::1]:2"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const rest = "GET / HTTP/1.1\r\n"
		r := bytes.NewReader(append(bytes.Clone(b), rest...))
		if _, err := readProxyHeader(r); err != nil {
			return
		}
		left, _ := io.ReadAll(r)
		if !strings.HasSuffix(string(b)+rest, string(left)) || len(left) > len(b)+len(rest)-15 {
			t.Errorf("%d octets are left of %d", len(left), len(b)+len(rest))
		}
	})
}
