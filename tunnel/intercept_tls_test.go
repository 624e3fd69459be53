package tunnel

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// What ALPN chooses, and the alert by which a handshake fails, is the same with the proxy as
// without.
func TestInterceptALPN(t *testing.T) {
	lists := map[string][]string{
		"h2 and http/1.1": {"h2", "http/1.1"}, "http/1.1": {"http/1.1"}, "h2": {"h2"}, "none": nil,
	}
	e := newIntercepting(t, &Interceptor{})
	outcome := func(c net.Conn, list []string) string {
		tc := tls.Client(c, &tls.Config{ServerName: "origin.example", RootCAs: e.clientRoots(), NextProtos: list})
		defer tc.Close()
		if err := tc.Handshake(); err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%q", tc.ConnectionState().NegotiatedProtocol)
	}
	for clientName, clientList := range lists {
		for originName, originList := range lists {
			t.Run(clientName+" to "+originName, func(t *testing.T) {
				addr := tlsOrigin(t, &tls.Config{NextProtos: originList}, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) })
				direct, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				want := outcome(direct, clientList)
				if got := outcome(e.tunnel("origin.example", addr), clientList); got != want {
					t.Errorf("through the proxy: %s; directly: %s", got, want)
				}
				// To a client of HTTP/1.1 alone crypto/tls answers without ALPN.
				if alert := strings.Contains(want, "no application protocol"); alert != (clientName+originName == "h2http/1.1") {
					t.Errorf("directly: %s", want)
				}
			})
		}
	}
}

// The client has the version of TLS that the origin has.
func TestInterceptTLSVersion(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		addr := tlsOrigin(t, &tls.Config{MaxVersion: version}, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) })
		if got := e.tls(addr).ConnectionState().Version; got != version {
			t.Errorf("%s, want %s", tls.VersionName(got), tls.VersionName(version))
		}
	}
	addr := tlsOrigin(t, &tls.Config{MaxVersion: tls.VersionTLS12}, func(*tls.Conn) {})
	c := tls.Client(e.tunnel("origin.example", addr), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err := c.Handshake(); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("a client of TLS 1.3 alone: %v", err)
	}
}

// The client sees a certificate for the name that it has asked for, or the target.
func TestInterceptNames(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	addr := tlsOrigin(t, &tls.Config{}, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, test := range []struct{ target, sni, want string }{
		{"origin.example", "origin.example", "origin.example"},
		{"origin.example", "", "origin.example"},
		{"127.0.0.1", "", "127.0.0.1"},
		{"127.0.0.1", "other.example", "other.example"},
	} {
		c := tls.Client(e.tunnel(test.target, addr), &tls.Config{ServerName: test.sni, InsecureSkipVerify: true})
		if err := c.Handshake(); err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		cert := c.ConnectionState().PeerCertificates[0]
		if err := cert.VerifyHostname(test.want); err != nil {
			t.Errorf("%+v: %v", test, err)
		}
		if n := len(cert.DNSNames) + len(cert.IPAddresses); n != 1 {
			t.Errorf("%+v: %d names", test, n)
		}
	}
}

// A client whose origin has a bad certificate reads why.
func TestInterceptVerifies(t *testing.T) {
	self, err := selfsigned.Certificate("origin.example")
	if err != nil {
		t.Fatal(err)
	}
	ca := testCA()
	expired := signForTest(t, ca, "origin.example", time.Now().Add(-time.Hour))
	wrong := signForTest(t, ca, "wrong.example", time.Now().Add(time.Hour))
	i := &Interceptor{CA: ca}
	e := newIntercepting(t, i)
	i.RootCAs.AddCert(ca.Certificate())
	for name, test := range map[string]struct {
		cert tls.Certificate
		want string
	}{
		"self-signed": {self, "not trusted"}, "expired": {expired, "expired"}, "wrong name": {wrong, "another name"},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " HTTP/2 ", http2), func(t *testing.T) {
				e.t = t
				addr := tlsOrigin(t, &tls.Config{
					Certificates: []tls.Certificate{test.cert}, NextProtos: []string{"h2", "http/1.1"},
				}, func(*tls.Conn) { t.Error("the handshake has succeeded") })
				resp, err := e.http(http2).Get(urlOf(addr, "/secret?token=1"))
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				status := resp.Header.Get("Proxy-Status")
				if resp.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), test.want) ||
					!strings.Contains(status, "error=tls_certificate_error") || resp.ProtoMajor == 2 != http2 {
					t.Errorf("%s %s, %q, Proxy-Status %q", resp.Proto, resp.Status, body, status)
				}
				r := e.exchange()
				if r.Status != http.StatusBadGateway || r.End != EndRefused || r.Method != "GET" || r.Path != "/secret" {
					t.Errorf("%+v", r)
				}
			})
		}
	}
}

// signForTest makes a certificate that ends at a time.
func signForTest(t *testing.T, ca *CA, host string, end time.Time) tls.Certificate {
	t.Helper()
	key := testLeafKey()
	short := *ca.cert
	short.NotAfter = end
	cert, _, err := (&CA{cert: &short, key: ca.key, chain: ca.chain}).sign(host, key, end.Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return *cert
}

// A host that the user has named as insecure is reached all the same, without fields to set.
func TestInterceptInsecure(t *testing.T) {
	self, err := selfsigned.Certificate("origin.example")
	if err != nil {
		t.Fatal(err)
	}
	e := newIntercepting(t, &Interceptor{
		Insecure: []string{".example"}, SetFields: setForAll("authorization", "secret"),
	})
	addr := tlsOrigin(t, &tls.Config{Certificates: []tls.Certificate{self}}, func(c *tls.Conn) {
		b := make([]byte, 1000)
		n, _ := c.Read(b)
		if bytes.Contains(b[:n], []byte("secret")) {
			t.Error("the origin was not verified and has got the field")
		}
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	})
	resp := roundTripRaw(t, e.tls(addr), "GET / HTTP/1.1\r\nHost: origin.example\r\n\r\n")
	if resp.StatusCode != http.StatusNoContent {
		t.Error(resp.Status)
	}
}

// The octets of a tunnel that passes through, or is no TLS, are untouched.
func TestInterceptPassesThrough(t *testing.T) {
	var hello bytes.Buffer // a whole ClientHello, whose connection then fails
	_ = tls.Client(helloRecorder{Writer: &hello}, &tls.Config{ServerName: "origin.example"}).Handshake()
	for name, test := range map[string]struct {
		target, send string
		passes       []string
	}{
		"by target":       {"origin.example", hello.String(), []string{"origin.example"}},
		"by suffix":       {"origin.example", hello.String(), []string{"*.example"}},
		"address, by SNI": {"127.0.0.1", hello.String(), []string{".example"}},
		"no TLS":          {"origin.example", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", nil},
		"SSH":             {"origin.example", "SSH-2.0-test\r\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			e := newIntercepting(t, &Interceptor{PassThrough: test.passes})
			addr := tcpOrigin(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
			c := e.tunnel(test.target, addr)
			for _, part := range []string{test.send[:3], test.send[3:], "and more\x00\xff"} {
				if _, err := io.WriteString(c, part); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c)
			if d := cmp.Diff(test.send+"and more\x00\xff", string(got)); d != "" || err != nil {
				t.Errorf("%v, (-want +got):\n%s", err, d)
			}
		})
	}
}

// An origin that speaks first, as SMTP has it, is relayed.
func TestInterceptOriginSpeaksFirst(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	addr := tcpOrigin(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "220 ready\r\n")
		_, _ = io.Copy(c, c)
	})
	c := e.tunnel("origin.example", addr)
	b := make([]byte, 11)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "220 ready\r\n" {
		t.Fatalf("%q, %v", b, err)
	}
	_, _ = io.WriteString(c, "QUIT")
	_ = c.CloseWrite()
	if got, err := io.ReadAll(c); string(got) != "QUIT" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// helloRecorder is a connection that keeps what is written to it.
type helloRecorder struct {
	net.Conn
	io.Writer
}

func (c helloRecorder) Write(p []byte) (int, error)      { return c.Writer.Write(p) }
func (c helloRecorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (c helloRecorder) Close() error                     { return nil }
func (c helloRecorder) SetDeadline(time.Time) error      { return nil }
func (c helloRecorder) SetReadDeadline(time.Time) error  { return nil }
func (c helloRecorder) SetWriteDeadline(time.Time) error { return nil }

// What is no ClientHello, though it begins like one, is refused and not relayed, and so is a client
// that says nothing, or half.
func TestInterceptBadHello(t *testing.T) {
	addr := tcpOrigin(t, func(c net.Conn) {
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("the origin has got %q", b)
		}
	})
	for name, send := range map[string]string{
		"garbage": "\x16\x03\x01\x00\x05hello", "a part": "\x16\x03\x01", "nothing": "",
	} {
		i := &Interceptor{}
		if name != "garbage" {
			i.HandshakeTimeout = 200 * time.Millisecond
		}
		e := newIntercepting(t, i)
		c := e.tunnel("origin.example", addr)
		_, _ = io.WriteString(c, send)
		got, _ := io.ReadAll(c)
		if alert := len(got) == 7 && got[0] == 21; alert != (name == "garbage") {
			t.Errorf("%s: the client has got %x", name, got)
		}
		if r := e.tunnelRecord(); r.End != EndHandshake || r.Error == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A client that does not trust the CA is named in the record.
func TestInterceptUntrusted(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	addr := tlsOrigin(t, &tls.Config{}, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) })
	c := tls.Client(e.tunnel("origin.example", addr), &tls.Config{ServerName: "origin.example"})
	if err := c.Handshake(); err == nil {
		t.Error("the client trusts the CA")
	}
	r := e.tunnelRecord()
	if r.End != EndHandshake ||
		!strings.Contains(r.Error, "does not trust the proxy's CA (SHA-256 "+e.i.CA.Fingerprint()) {
		t.Errorf("%+v", r)
	}
}

// The policy decides about the name in TLS, too.
func TestInterceptPolicyOfName(t *testing.T) {
	e := newIntercepting(t, &Interceptor{})
	rules, err := ParseRules(strings.NewReader("allow origin.example port any private\n"), "policy.txt")
	if err != nil {
		t.Fatal(err)
	}
	e.p.Policy = rules
	addr := tlsOrigin(t, &tls.Config{}, func(*tls.Conn) { t.Error("the origin was reached") })
	c := tls.Client(e.tunnel("origin.example", addr), &tls.Config{ServerName: "other.example", RootCAs: e.clientRoots()})
	resp := roundTripRaw(t, c, "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(resp.Header.Get("Proxy-Status"), typeDenied) {
		t.Errorf("%s, %v", resp.Status, resp.Header)
	}
}
