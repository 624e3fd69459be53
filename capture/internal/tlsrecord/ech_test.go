package tlsrecord

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// echConfig returns the configuration of a server for Encrypted Client Hello (RFC 9849 §4).
func echConfig(t *testing.T, publicName string) (config, private []byte) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := key.PublicKey().Bytes()
	body := []byte{7, 0, 0x20, 0, byte(len(public))} // its ID, DHKEM(X25519, HKDF-SHA256)
	body = append(body, public...)
	body = append(body, 0, 4, 0, 1, 0, 1, 32, byte(len(publicName))) // HKDF-SHA256, AES-128-GCM
	body = append(append(body, publicName...), 0, 0)
	config = binary.BigEndian.AppendUint16([]byte{0xfe, 0x0d}, uint16(len(body)))
	return append(config, body...), key.Bytes()
}

// echExchange is an exchange whose ClientHello is encrypted.
func echExchange(t *testing.T) *exchange {
	t.Helper()
	client, server := limit(tls.VersionTLS13)
	config, private := echConfig(t, "public.example")
	server.EncryptedClientHelloKeys = []tls.EncryptedClientHelloKey{{Config: config, PrivateKey: private}}
	client.EncryptedClientHelloConfigList = append([]byte{byte(len(config) >> 8), byte(len(config))}, config...)
	client.InsecureSkipVerify = false
	client.RootCAs = x509.NewCertPool()
	for _, c := range server.Certificates {
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		client.RootCAs.AddCert(leaf)
	}
	requests, responses := talk()
	x := run(t, client, server, requests, responses)
	if !x.state.ECHAccepted {
		t.Fatal("the server has not taken the ClientHello that is encrypted")
	}
	return x
}

// The log has the random of the ClientHello that is encrypted, and the capture has the other one:
// all secrets are tried. The name is the one in the clear.
func TestEncryptedClientHello(t *testing.T) {
	x := echExchange(t)
	k := x.keys()
	for range 10 {
		k.Add(simple(t, tls.VersionTLS13).keyLog.Bytes())
	}
	r := play(k, Options{}, x.pieces)
	for _, d := range []wire.Dir{wire.Client, wire.Server} {
		if !bytes.Equal(r.got[d], x.sent[d]) || r.lost[d] != nil || r.hidden[d] != 0 {
			t.Errorf("%v: %d octets, want %d: %s", d, len(r.got[d]), len(x.sent[d]), r.why[d])
		}
	}
	want := Info{
		Version: tls.VersionTLS13, CipherSuite: x.state.CipherSuite, ALPN: "h2",
		Offered: r.info[0].Offered, ServerName: "public.example", ClientRandom: r.info[0].ClientRandom,
	}
	if diff := cmp.Diff([]Info{want}, r.info); diff != "" {
		t.Errorf("Handshake: %s", diff)
	}
}

// The secrets may come late, and other ones before them.
func TestEncryptedClientHelloKeysComeLate(t *testing.T) {
	for _, x := range []*exchange{echExchange(t), greaseExchange(t)} {
		k, r := &Keys{}, &result{}
		c := New(k, r, Options{HoldBack: DefaultHoldBack})
		for i, p := range x.pieces {
			k.put(random{byte(i)}, secret{label: labelServerHandshake, size: 32})
			k.generation++
			if i == len(x.pieces)/2 {
				k.Add(x.keyLog.Bytes())
			}
			c.Octets(p.d, time.Unix(int64(i), 0), p.octets)
		}
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			c.End(d, time.Unix(1e6, 0), wire.Closed)
			if !bytes.Equal(r.got[d], x.sent[d]) || r.lost[d] != nil || r.hidden[d] != 0 {
				t.Errorf("%v: %d octets, want %d: %s", d, len(r.got[d]), len(x.sent[d]), r.why[d])
			}
		}
	}
}

// greaseExchange is an exchange whose client sends an Encrypted Client Hello that means nothing
// (RFC 9849 §6.2), as browsers do: the server does not know it; the log has the random in sight.
func greaseExchange(t *testing.T) *exchange {
	t.Helper()
	x := simple(t, tls.VersionTLS13)
	for _, p := range x.pieces {
		// signature_algorithms_cert, which crypto/tls sends, is made the extension; nothing here
		// verifies the handshake.
		if at := bytes.Index(p.octets, []byte{0, 50, 0}); p.d == wire.Client && at >= 0 {
			copy(p.octets[at:], []byte{0xfe, 0x0d})
			return x
		}
	}
	t.Fatal("no extension to make one of")
	return nil
}
