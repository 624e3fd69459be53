package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// simple is an exchange of a version.
func simple(t *testing.T, version uint16) *exchange {
	client, server := limit(version)
	requests, responses := talk()
	return run(t, client, server, requests, responses)
}

// encryptedOctets are the octets of the records that are encrypted, by the types that are in sight.
func encryptedOctets(x *exchange, d wire.Dir) (n int64) {
	p := x.octets(d)
	encrypted := false
	for _, s := range x.records(d) {
		switch p[s.a] {
		case recData:
			n += int64(s.b - s.a)
		case recChangeCipherSpec:
			encrypted = x.state.Version == tls.VersionTLS12
		default:
			if encrypted {
				n += int64(s.b - s.a)
			}
		}
	}
	return n
}

func TestNoKey(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			x := simple(t, version)
			k := simple(t, version).keys()
			k.Add(simple(t, version).keyLog.Bytes())
			for _, o := range []Options{{}, {HoldBack: 1 << 10}, {HoldBack: DefaultHoldBack}} {
				r := play(k, o, x.pieces)
				if len(r.info) != 1 || r.info[0].ServerName != "example.com" || r.info[0].Version != version || r.early {
					t.Fatalf("Handshake: %+v", r.info)
				}
				want := fmt.Sprintf("no key for client random %x (the log has 2 others)", r.info[0].ClientRandom)
				for _, d := range []wire.Dir{wire.Client, wire.Server} {
					if r.why[d] != want {
						t.Errorf("%v: %q, want %q", d, r.why[d], want)
					}
					if n := encryptedOctets(x, d); r.hidden[d] != n || len(r.got[d]) > 0 || len(r.ends[d]) != 1 {
						t.Errorf("%v: %d octets not decrypted, want %d; ends %v", d, r.hidden[d], n, r.ends[d])
					}
				}
			}
		})
	}
}

// without returns a key log without the lines of a label.
func without(x *exchange, labels ...string) *Keys {
	k := &Keys{}
	for line := range bytes.Lines(x.keyLog.Bytes()) {
		keep := true
		for _, l := range labels {
			keep = keep && !bytes.HasPrefix(line, []byte(l))
		}
		if keep {
			k.Add(line)
		}
	}
	return k
}

// Secrets for a part of the connection show that part.
func TestSomeSecrets(t *testing.T) {
	x := simple(t, tls.VersionTLS13)
	tests := []struct {
		name    string
		without []string
		why     [2]string // beginnings; "" for all decrypted
		alpn    string
	}{
		{"no handshake secrets", []string{"CLIENT_HANDSHAKE", "SERVER_HANDSHAKE"}, [2]string{}, ""},
		{
			"no client traffic secret",
			[]string{"CLIENT_TRAFFIC"},
			[2]string{"the key log has no CLIENT_TRAFFIC_SECRET_0"},
			"h2",
		},
		{
			"no server traffic secret",
			[]string{"SERVER_TRAFFIC"},
			[2]string{1: "the key log has no SERVER_TRAFFIC_SECRET_0"},
			"h2",
		},
		{
			"nothing of the server",
			[]string{"SERVER_TRAFFIC", "SERVER_HANDSHAKE"},
			[2]string{1: "the key log has no SERVER_HANDSHAKE_TRAFFIC_SECRET"},
			"",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := play(without(x, tt.without...), Options{}, x.pieces)
			if r.info[0].ALPN != tt.alpn {
				t.Errorf("ALPN %q, want %q", r.info[0].ALPN, tt.alpn)
			}
			for d, why := range tt.why {
				if why == "" && !bytes.Equal(r.got[d], x.sent[d]) || why != "" && len(r.got[d]) > 0 {
					t.Errorf("%v: %d octets: %s", wire.Dir(d), len(r.got[d]), r.why[d])
				}
				if !strings.HasPrefix(r.why[d], why) || why == "" && r.why[d] != "" {
					t.Errorf("%v: %q, want %q", wire.Dir(d), r.why[d], why)
				}
			}
		})
	}
}

func TestWrongKey(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		x := simple(t, version)
		k := &Keys{}
		for line := range strings.Lines(x.keyLog.String()) {
			parts := strings.Fields(line)
			parts[2] = strings.Repeat("5a", len(parts[2])/2)
			k.Add([]byte(strings.Join(parts, " ")))
		}
		r := play(k, Options{HoldBack: DefaultHoldBack}, x.pieces)
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			if !strings.Contains(r.why[d], "does not fit: records fail their authentication") || len(r.got[d]) > 0 {
				t.Errorf("%v: %d octets: %q", d, len(r.got[d]), r.why[d])
			}
			if want := encryptedOctets(x, d); r.hidden[d] != want {
				t.Errorf("%v: %d octets not decrypted, want %d", d, r.hidden[d], want)
			}
		}
	}
}

// Keys that come while the Conn holds octets back are used; with no room to hold back, too late.
func TestKeysComeLate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		x := simple(t, version)
		lines := strings.SplitAfter(strings.TrimSpace(x.keyLog.String()), "\n")
		k, r := &Keys{}, &result{}
		c := New(k, r, Options{HoldBack: DefaultHoldBack})
		for i, p := range x.pieces {
			if i > 2 && i%3 == 0 && len(lines) > 0 { // a line now and then
				k.Add([]byte(lines[0]))
				lines = lines[1:]
			}
			c.Octets(p.d, time.Unix(int64(i), 0), p.octets)
		}
		for _, l := range lines {
			k.Add([]byte(l))
		}
		c.End(wire.Client, time.Unix(1e6, 0), wire.Closed)
		c.End(wire.Server, time.Unix(1e6, 0), wire.Closed)
		r.back = false // the End of a direction has it say what was held
		check(t, r, x)
	}
}

// What the server has chosen may be something that is not decrypted.
func TestUnsupported(t *testing.T) {
	tests := []struct {
		version, suite uint16
		want           string
	}{
		{tls.VersionTLS12, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, "the cipher suite TLS_RSA_WITH_3DES_EDE_CBC_SHA"},
		{tls.VersionTLS12, tls.TLS_RSA_WITH_RC4_128_SHA, "the cipher suite TLS_RSA_WITH_RC4_128_SHA"},
		{tls.VersionTLS11, tls.TLS_RSA_WITH_AES_128_CBC_SHA, "TLS 1.1"},
		{tls.VersionTLS10, tls.TLS_RSA_WITH_AES_128_CBC_SHA, "TLS 1.0"},
	}
	for _, tt := range tests {
		client, server := limit(tt.version)
		server.MinVersion = tls.VersionTLS10
		client.CipherSuites, server.CipherSuites = []uint16{tt.suite}, []uint16{tt.suite}
		requests, responses := talk()
		x := run(t, client, server, requests, responses)
		r := play(x.keys(), Options{}, x.pieces)
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			if r.why[d] != tt.want+" is not decrypted" || r.hidden[d] == 0 || len(r.got[d]) > 0 {
				t.Errorf("%v: %q, want %q; %d octets", d, r.why[d], tt.want, r.hidden[d])
			}
		}
		if len(r.info) != 1 || r.info[0].Version != tt.version {
			t.Errorf("%s: Handshake %+v", tt.want, r.info)
		}
	}
}

func TestDraft(t *testing.T) {
	x := simple(t, tls.VersionTLS13)
	for _, p := range x.pieces {
		if at := bytes.Index(p.octets, []byte{0, extSupportedVersions, 0, 2, 3, 4}); p.d == wire.Server && at >= 0 {
			copy(p.octets[at+4:], []byte{0x7f, 28})
		}
	}
	r := play(x.keys(), Options{}, x.pieces)
	want := [2]string{"draft 28 of TLS 1.3 is not decrypted", "draft 28 of TLS 1.3 is not decrypted"}
	if diff := cmp.Diff(want, r.why); diff != "" {
		t.Error(diff)
	}
}

// The capture begins in the midst of the connection: the secrets of a small log are tried.
func TestStartMissing(t *testing.T) {
	x := simple(t, tls.VersionTLS13)
	k := x.keys()
	for range 5 {
		k.Add(simple(t, tls.VersionTLS13).keyLog.Bytes())
	}
	for from := 6; from < len(x.pieces)-4; from++ {
		pieces := append([]piece{}, x.pieces[from:]...)
		pieces[0].octets = pieces[0].octets[len(pieces[0].octets)/3:]
		r := play(k, Options{StartMissing: true}, pieces)
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			if !bytes.HasSuffix(x.sent[d], r.got[d]) || len(r.got[d]) == 0 {
				t.Errorf("from %d: %v: %d octets: %s", from, d, len(r.got[d]), r.why[d])
			}
		}
		want := Info{Version: tls.VersionTLS13, CipherSuite: x.state.CipherSuite}
		if diff := cmp.Diff([]Info{want}, r.info); diff != "" {
			t.Errorf("from %d: Handshake %s", from, diff)
		}
	}
}

func TestStartMissingWithoutKey(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		x := simple(t, version)
		k := x.keys()
		if version == tls.VersionTLS13 {
			k = simple(t, version).keys()
		}
		r := play(k, Options{StartMissing: true}, x.pieces[9:])
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			if r.why[d] != whyNoHandshake || r.hidden[d] == 0 || len(r.got[d]) > 0 {
				t.Errorf("%v: %q, %d octets", d, r.why[d], r.hidden[d])
			}
		}
		if diff := cmp.Diff([]Info{{}}, r.info); diff != "" {
			t.Errorf("Handshake: %s", diff)
		}
	}
}

// The other direction is not in the capture.
func TestOneSided(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		x := simple(t, version)
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			var pieces []piece
			for _, p := range x.pieces {
				if p.d == d {
					pieces = append(pieces, p)
				}
			}
			r := play(x.keys(), Options{}, pieces)
			want, why := x.sent[d], ""
			if version == tls.VersionTLS12 {
				want = nil
				if why = "the ServerHello is not in the capture"; d == wire.Server {
					why = whyNoHandshake
				}
			}
			if !bytes.Equal(r.got[d], want) || r.why[d] != why {
				t.Errorf("%s: %v: %d octets, want %d: %q", tls.VersionName(version), d, len(r.got[d]), len(want), r.why[d])
			}
		}
	}
}

func TestNotTLS(t *testing.T) {
	r := play(&Keys{}, Options{}, []piece{{wire.Client, []byte("GET / HTTP/1.1\r\n\r\n")}})
	if r.why[wire.Client] != "what the client sends is not TLS" || r.hidden[wire.Client] != 18 {
		t.Errorf("%q, %d octets", r.why[wire.Client], r.hidden[wire.Client])
	}
}

// A handshake that fails ends in an alert.
func TestAlert(t *testing.T) {
	hello, err := hex.DecodeString("160301002f0100002b0303" + strings.Repeat("ab", 32) + "000002c02f01000000")
	if err != nil {
		t.Fatal(err)
	}
	r := play(&Keys{}, Options{}, []piece{
		{wire.Client, hello}, {wire.Server, []byte{recAlert, 3, 3, 0, 2, 2, 40}},
	})
	if diff := cmp.Diff([]uint8{40}, r.alerts); diff != "" {
		t.Errorf("alerts: %s", diff)
	}
	want := []Info{{ClientRandom: bytes.Repeat([]byte{0xab}, 32)}}
	if diff := cmp.Diff(want, r.info); diff != "" {
		t.Errorf("Handshake: %s", diff)
	}
	if r.why != [2]string{} {
		t.Errorf("not decrypted: %q", r.why)
	}
}
