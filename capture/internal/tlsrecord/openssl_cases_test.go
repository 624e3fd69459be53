package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

const keyUpdateSize = headerSize + 5 + 1 + 16 // of the record that has a KeyUpdate

const connected = `Verify return code: \d+`

func TestOpenSSLKeyUpdate(t *testing.T) {
	g := newDialogue(t, "-tls1_3")
	x := g.client(func(c *process, x *exchange) {
		c.await(connected)
		line(c, g.server, "one")
		for _, command := range []string{"k", "K"} { // without, and with one asked of the other side
			c.say(command)
			c.await("KEYUPDATE")
			line(c, g.server, "client behind "+command)
			line(g.server, c, "server behind "+command)
			line(c, g.server, "client again")
			before := x.sizes(wire.Server, keyUpdateSize)
			g.server.say(command)
			x.await(t, func() bool { return x.sizes(wire.Server, keyUpdateSize) > before })
			line(g.server, c, "server has done "+command)
			line(c, g.server, "client goes on")
		}
	})
	var client, server strings.Builder
	client.WriteString("one\n")
	for _, command := range []string{"k", "K"} {
		client.WriteString("client behind " + command + "\nclient again\nclient goes on\n")
		server.WriteString("server behind " + command + "\nserver has done " + command + "\n")
	}
	x.want(t, client.String(), server.String())
	x.keep(t, "openssl-keyupdate")

	// The record that has the KeyUpdate gets lost.
	for _, d := range []wire.Dir{wire.Client, wire.Server} {
		for _, s := range x.records(d) {
			if s.b-s.a != keyUpdateSize {
				continue
			}
			r := playHoles(x.keys(), Options{}, x.pieces, true, hole{d, s.a, s.b})
			if want := []string{client.String(), server.String()}[d]; string(r.got[d]) != want {
				t.Errorf("%v: without %v: %q, want %q", d, s, r.got[d], want)
			}
		}
	}
}

func TestOpenSSLHelloRetryRequest(t *testing.T) {
	g := newDialogue(t, "-groups", "P-384")
	x := g.client(func(c *process, x *exchange) {
		c.await(connected)
		line(c, g.server, "hello")
		line(g.server, c, "world")
	}, "-groups", "X25519:P-384", "-alpn", "h2,http/1.1", "-servername", "example.com")
	r := x.want(t, "hello\n", "world\n")
	x.keep(t, "openssl-helloretryrequest")
	if !r.info[0].HelloRetry || r.info[0].ServerName != "example.com" || len(r.info[0].Offered) != 2 {
		t.Errorf("Handshake: %+v", r.info[0])
	}
}

func TestOpenSSLEarlyData(t *testing.T) {
	g := newDialogue(t, "-tls1_3", "-early_data")
	dir := t.TempDir()
	session, early := filepath.Join(dir, "session"), filepath.Join(dir, "early")
	if err := os.WriteFile(early, bytes.Repeat([]byte("early "), 1500), 0o600); err != nil {
		t.Fatal(err)
	}
	g.client(func(c *process, x *exchange) {
		c.await(connected)
		line(c, g.server, "first")
		line(g.server, c, "reply") // behind the tickets
	}, "-sess_out", session)
	data := strings.Repeat("early ", 1500)
	second := func(want string) func(c *process, x *exchange) {
		return func(c *process, x *exchange) {
			c.await(want)
			line(c, g.server, "behind")
			line(g.server, c, "answer")
		}
	}
	args := []string{"-sess_in", session, "-early_data", early}

	x := g.client(second("Early data was accepted"), args...)
	r := x.want(t, data+"behind\n", "answer\n")
	x.keep(t, "openssl-earlydata-accepted")
	if !r.info[0].EarlyData || !r.info[0].Resumed || r.hidden != [2]int64{} {
		t.Errorf("accepted: %+v, not decrypted: %v", r.info[0], r.hidden)
	}
	r = play(without(x, "CLIENT_EARLY"), Options{}, x.pieces)
	why := "the key log has no CLIENT_EARLY_TRAFFIC_SECRET for client random "
	if string(r.got[wire.Client]) != "behind\n" || !strings.HasPrefix(r.why[wire.Client], why) {
		t.Errorf("without the secret: %q, %s", r.got[wire.Client], r.why[wire.Client])
	}

	x = g.client(second("Early data was rejected"), args...) // the ticket holds only once
	r = x.want(t, "behind\n", "answer\n")
	x.keep(t, "openssl-earlydata-rejected")
	if n := r.hidden[wire.Client]; r.info[0].EarlyData || n < int64(len(data)) || r.why[wire.Client] != Rejected {
		t.Errorf("rejected: %+v, %d octets: %s", r.info[0], n, r.why[wire.Client])
	}
}

func TestOpenSSLVariants(t *testing.T) {
	tests := []struct {
		name           string
		server, client []string
		suite          uint16
		keep           bool // in testdata
	}{
		{"ChaCha20", []string{"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, nil, 0x1303, true},
		{"no middlebox", []string{"-no_middlebox"}, []string{"-no_middlebox"}, 0x1302, false},
		{"padding", []string{"-record_padding", "512"}, []string{"-record_padding", "512"}, 0x1302, true},
		{"fragments", []string{"-max_send_frag", "512"}, []string{"-max_send_frag", "512"}, 0x1302, true},
		{"DHE", []string{"-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256"}, nil, 0x009e, true},
		{"encrypt-then-MAC SHA", []string{"-tls1_2", "-cipher", "AES128-SHA"}, nil, 0x002f, false},
		{"encrypt-then-MAC SHA256", []string{"-tls1_2", "-cipher", "DHE-RSA-AES256-SHA256"}, nil, 0x006b, true},
		{"encrypt-then-MAC SHA384", []string{"-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"}, nil, 0xc028, false},
		{"MAC-then-encrypt", nil, []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA384", "-no_etm"}, 0xc024, false},
		{"RSA", nil, []string{"-tls1_2", "-cipher", "AES256-GCM-SHA384"}, 0x009d, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newDialogue(t, tt.server...)
			long := strings.Repeat("long ", 220)
			x := g.client(func(c *process, _ *exchange) {
				c.await(connected)
				for range 3 {
					line(c, g.server, "request")
					line(g.server, c, long)
				}
			}, tt.client...)
			r := x.want(t, strings.Repeat("request\n", 3), strings.Repeat(long+"\n", 3))
			if tt.keep {
				x.keep(t, "openssl-"+strings.ReplaceAll(strings.ToLower(tt.name), " ", "-"))
			}
			if r.info[0].CipherSuite != tt.suite {
				t.Errorf("suite %s, want %s", tls.CipherSuiteName(r.info[0].CipherSuite), tls.CipherSuiteName(tt.suite))
			}
		})
	}
}

func TestOpenSSLRenegotiation(t *testing.T) {
	for _, cipher := range []string{"ECDHE-RSA-AES128-GCM-SHA256", "AES256-SHA"} {
		g := newDialogue(t, "-tls1_2", "-client_renegotiation", "-cipher", cipher)
		x := g.client(func(c *process, _ *exchange) {
			c.await(connected)
			line(c, g.server, "before")
			line(g.server, c, "before too")
			c.say("R")
			c.await("RENEGOTIATING")
			line(c, g.server, "behind")
			line(g.server, c, "behind too")
		})
		if n := x.keys().Connections(); n != 2 {
			t.Errorf("%d client randoms, want 2", n)
		}
		r := x.want(t, "before\nbehind\n", "before too\nbehind too\n")
		x.keep(t, "openssl-renegotiation-"+strings.ToLower(cipher))
		if len(r.info) != 1 {
			t.Errorf("Handshake: %+v", r.info)
		}
	}
}

// A session of TLS 1.2 is resumed by its ID.
func TestOpenSSLSessionID(t *testing.T) {
	g := newDialogue(t, "-tls1_2", "-no_ticket")
	session := filepath.Join(t.TempDir(), "session")
	for i, option := range []string{"-sess_out", "-sess_in"} {
		x := g.client(func(c *process, _ *exchange) {
			c.await(connected)
			line(c, g.server, "request")
			line(g.server, c, "response")
		}, option, session)
		r := x.want(t, "request\n", "response\n")
		if r.info[0].Resumed != (i == 1) {
			t.Errorf("connection %d: %+v", i, r.info[0])
		}
	}
}
