package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/tunnel"
)

// dialerTo returns a Dialer for a proxy, whose certificate it does not verify.
func dialerTo(t *testing.T, raw string) *tunnel.Dialer {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	d := &tunnel.Dialer{Proxy: u, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // of the test
	t.Cleanup(d.CloseIdleConnections)
	return d
}

// tunnelTargets are what the tunnels of the test lead to.
type tunnelTargets struct {
	site                 *httptest.Server
	smtp, echo, ssh, off string
}

func startTunnelTargets(t *testing.T) *tunnelTargets {
	t.Helper()
	site := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}))
	t.Cleanup(site.Close)
	return &tunnelTargets{
		site: site,
		off:  "127.0.0.1:1",
		smtp: serveTarget(t, func(nc net.Conn) {
			fmt.Fprint(nc, "220 mail.test ESMTP\r\n")
			lines := bufio.NewScanner(nc)
			for lines.Scan() {
				if lines.Text() == "QUIT" {
					fmt.Fprint(nc, "221 bye\r\n")
					return
				}
				fmt.Fprintf(nc, "250 %s\r\n", lines.Text())
			}
		}),
		echo: serveTarget(t, func(nc net.Conn) {
			n, _ := io.Copy(nc, nc)
			fmt.Fprintf(nc, "%d octets", n)
		}),
		ssh: serveTarget(t, serveSSH(t)),
	}
}

func serveTarget(t *testing.T, serve func(net.Conn)) (addr string) {
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
				serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	return l.Addr().String()
}

func serveSSH(t *testing.T) func(net.Conn) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &ssh.ServerConfig{NoClientAuth: true}
	cfg.AddHostKey(signer)
	return func(nc net.Conn) {
		c, chans, reqs, err := ssh.NewServerConn(nc, cfg)
		if err != nil {
			return
		}
		defer c.Close()
		go func() {
			for ch := range chans {
				ch.Reject(ssh.Prohibited, "not here")
			}
		}()
		for r := range reqs {
			r.Reply(r.Type == "ping", []byte("pong"))
		}
	}
}

// carry has each protocol use a tunnel of the dialer.
func (x *tunnelTargets) carry(t *testing.T, d *tunnel.Dialer) {
	t.Helper()
	dial := func(addr string) net.Conn {
		ctx, cancel := context.WithTimeout(t.Context(), rawTimeout)
		defer cancel()
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(rawTimeout))
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	h := x.site.Client().Transport.(*http.Transport).Clone()
	h.DialContext = d.DialContext
	defer h.CloseIdleConnections()
	resp, err := (&http.Client{Transport: h}).Get(x.site.URL + "/page")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); string(b) != "GET /page" || err != nil {
		t.Errorf("TLS: %q, %v", b, err)
	}
	resp.Body.Close()

	nc := dial(x.smtp)
	r := bufio.NewReader(nc)
	for _, step := range []struct{ say, want string }{
		{"", "220 mail.test ESMTP\r\n"}, {"HELO a\r\n", "250 HELO a\r\n"}, {"QUIT\r\n", "221 bye\r\n"},
	} {
		if _, err := io.WriteString(nc, step.say); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); got != step.want || err != nil {
			t.Fatalf("SMTP: %q, %v; want %q", got, err, step.want)
		}
	}
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("SMTP: %v after the end", err)
	}

	nc = dial(x.ssh)
	c, _, reqs, err := ssh.NewClientConn(
		nc,
		x.ssh,
		&ssh.ClientConfig{HostKeyCallback: ssh.InsecureIgnoreHostKey()},
	) //nolint:gosec // of the test
	if err != nil {
		t.Fatalf("ssh: %v", err)
	}
	go ssh.DiscardRequests(reqs)
	if ok, answer, err := c.SendRequest("ping", true, nil); !ok || string(answer) != "pong" || err != nil {
		t.Errorf("ssh: %t, %q, %v", ok, answer, err)
	}
	c.Close()
}

// bulk sends octets and wants all back, and with ends the end, and what the target says behind
// that.
func (x *tunnelTargets) bulk(t *testing.T, d *tunnel.Dialer, ends bool) {
	t.Helper()
	nc, err := d.DialContext(t.Context(), "tcp", x.echo)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(rawTimeout))
	sent := bigBody()
	var up sync.WaitGroup
	up.Go(func() {
		if _, err := nc.Write(sent); err != nil {
			t.Errorf("Write: %v", err)
		}
		if !ends {
			return
		}
		if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
	})
	want, r := sent, io.LimitReader(nc, int64(len(sent)))
	if ends {
		want, r = append(bytes.Clone(sent), fmt.Sprintf("%d octets", len(sent))...), nc
	}
	got, err := io.ReadAll(r)
	up.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("echo: %d octets and %v, want %d", len(got), err, len(want))
	}
}

// refused has the proxy refuse a target where nothing listens.
func (x *tunnelTargets) refused(t *testing.T, d *tunnel.Dialer) {
	t.Helper()
	_, err := d.DialContext(t.Context(), "tcp", x.off)
	var pe *tunnel.ProxyError
	if !errors.As(err, &pe) || pe.StatusCode < 500 || pe.Target != x.off {
		t.Errorf("a target where nothing listens: %v", err)
	}
}

// The dialer opens tunnels through ours and through proxies of others, over each protocol that they
// speak.
func TestDialerThroughProxies(t *testing.T) {
	targets := startTunnelTargets(t)
	type proxyOf struct {
		url        string
		http2      bool
		noHalfEnds bool // it does not pass the end of one direction on
	}
	proxies := map[string]func(t *testing.T) []proxyOf{
		"net http": func(t *testing.T) []proxyOf {
			return []proxyOf{
				{url: startNetHTTPProxy(t, false, false).String()},
				{url: startNetHTTPProxy(t, true, false).String()},
				{url: startNetHTTPProxy(t, true, true).String(), http2: true},
			}
		},
		"sluice": func(t *testing.T) []proxyOf {
			p := startProxy(t, &tunnel.Proxy{})
			return []proxyOf{
				{url: "http://" + p.http}, {url: "h2c://" + p.http, http2: true}, {url: "https://" + p.https, http2: true},
			}
		},
		"haproxy": func(t *testing.T) []proxyOf {
			clear, secure, h2c := startHAProxyTunnels(t)
			return []proxyOf{{url: clear}, {url: secure, http2: true}, {url: h2c, http2: true}}
		},
		"nghttpx": func(t *testing.T) []proxyOf {
			return []proxyOf{{url: startNghttpxProxy(t), http2: true, noHalfEnds: true}}
		},
		"squid": func(t *testing.T) []proxyOf {
			clear, secure := startSquid(t, nil)
			return []proxyOf{{url: clear, noHalfEnds: true}, {url: secure, noHalfEnds: true}}
		},
	}
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			for _, p := range start(t) {
				d := dialerTo(t, p.url)
				targets.carry(t, d)
				targets.refused(t, d)
				nc, err := d.DialContext(t.Context(), "tcp", targets.echo)
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := nc.(*conn.Tunnel); ok != p.http2 {
					t.Errorf("%s: the tunnel is a %T", p.url, nc)
				}
				nc.Close()
				targets.bulk(t, d, !p.noHalfEnds)
			}
		})
	}
	t.Run("a chain of three", func(t *testing.T) {
		first := dialerTo(t, startNetHTTPProxy(t, true, true).String())
		second := dialerTo(t, startNetHTTPProxy(t, false, false).String())
		second.DialProxy = first.DialContext
		third := dialerTo(t, startNetHTTPProxy(t, true, true).String())
		third.DialProxy = second.DialContext
		targets.carry(t, third)
		targets.bulk(t, third, true)
		targets.refused(t, third)
	})
}

// Squid asks for Basic, Digest and NTLM, with helpers of its own.
func TestDialerAuthenticatesToSquid(t *testing.T) {
	targets := startTunnelTargets(t)
	const allow = "acl users proxy_auth REQUIRED\nhttp_access allow users\nhttp_access deny all\n"
	write := func(t *testing.T, dir, text string) string {
		name := filepath.Join(dir, "users")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil { //nolint:gosec // squid's helpers read it
			t.Fatal(err)
		}
		return name
	}
	user := url.UserPassword("us", "er")
	refuse := func(t *testing.T, raw string) {
		t.Helper()
		d := dialerTo(t, raw)
		d.Proxy.User = url.UserPassword("us", "wrong")
		_, err := d.DialContext(t.Context(), "tcp", targets.echo)
		var pe *tunnel.ProxyError
		if !errors.As(err, &pe) || pe.StatusCode != http.StatusProxyAuthRequired {
			t.Errorf("the wrong password: %v", err)
		}
	}
	t.Run("Basic", func(t *testing.T) {
		clear, secure := startSquid(t, func(string) string {
			return "auth_param basic program " + requirePeer(t, "/usr/lib/squid/basic_fake_auth") + "\n" + allow
		})
		for _, raw := range []string{clear, secure} {
			d := dialerTo(t, raw)
			d.Credentials = func(context.Context, *tunnel.Challenge) (*url.Userinfo, error) { return user, nil }
			targets.carry(t, d)
			d = dialerTo(t, raw)
			d.Proxy.User = user
			targets.carry(t, d)
		}
	})
	t.Run("Digest", func(t *testing.T) {
		clear, secure := startSquid(t, func(dir string) string {
			return "auth_param digest program " + requirePeer(t, "/usr/lib/squid/digest_file_auth") + " " +
				write(t, dir, "us:er\n") + "\nauth_param digest realm test, proxy\n" + allow
		})
		for _, raw := range []string{clear, secure} {
			d := dialerTo(t, raw)
			d.Proxy.User = user
			targets.carry(t, d)
			refuse(t, raw)
		}
	})
	t.Run("NTLM", func(t *testing.T) {
		clear, secure := startSquid(t, func(string) string {
			return "auth_param ntlm program " + requirePeer(t, "/usr/lib/squid/ntlm_fake_auth") + "\n" + allow
		})
		for _, raw := range []string{clear, secure} {
			rounds := 0
			d := dialerTo(t, raw)
			d.Authenticate = func(_ context.Context, c *tunnel.Challenge) (string, error) {
				rounds++
				return answerNTLM(c)
			}
			targets.carry(t, d)
			if rounds != 6 { // two for each of three tunnels
				t.Errorf("%d rounds", rounds)
			}
		}
	})
}

// answerNTLM answers a challenge of NTLM without a proof of the password, which squid's fake does
// not ask for.
func answerNTLM(c *tunnel.Challenge) (string, error) {
	token := ""
	for _, v := range c.Values {
		if v == "NTLM" || strings.HasPrefix(v, "NTLM ") {
			token = strings.TrimPrefix(strings.TrimPrefix(v, "NTLM"), " ")
		}
	}
	m := []byte("NTLMSSP\x00")
	if token == "" {
		m = binary.LittleEndian.AppendUint32(m, 1)      // NEGOTIATE_MESSAGE
		m = binary.LittleEndian.AppendUint32(m, 0x0202) // OEM, NTLM
		m = append(m, make([]byte, 16)...)              // no domain, no workstation
		return "NTLM " + base64.StdEncoding.EncodeToString(m), nil
	}
	challenge, err := base64.StdEncoding.DecodeString(token)
	if err != nil || !bytes.HasPrefix(challenge, m) || challenge[8] != 2 {
		return "", fmt.Errorf("the challenge of NTLM is %q", token)
	}
	m = binary.LittleEndian.AppendUint32(m, 3) // AUTHENTICATE_MESSAGE
	offset := 64
	for _, n := range []int{24, 24, 4, 2, 2, 0} { // two responses, domain, user, workstation, key
		m = binary.LittleEndian.AppendUint16(m, uint16(n))
		m = binary.LittleEndian.AppendUint16(m, uint16(n))
		m = binary.LittleEndian.AppendUint32(m, uint32(offset))
		offset += n
	}
	m = binary.LittleEndian.AppendUint32(m, 0x0202)
	m = append(m, make([]byte, 48)...)
	m = append(m, "TESTusws"...)
	return "NTLM " + base64.StdEncoding.EncodeToString(m), nil
}
