package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// content returns n octets that are all different to look at.
func content(n int, seed byte) []byte {
	p := make([]byte, n)
	x := uint32(seed) + 1
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// talk is what the connections of these tests carry.
func talk() (requests, responses [][]byte) {
	for i, n := range []int{24, 1, 300, 9, 70000, 17} {
		requests = append(requests, content(n, byte(i)))
		responses = append(responses, content(n*n%50000+1, byte(i+100)))
	}
	return requests, responses
}

// check compares a result with what has been sent.
func check(t *testing.T, r *result, x *exchange) {
	t.Helper()
	for _, d := range []wire.Dir{wire.Client, wire.Server} {
		if !bytes.Equal(r.got[d], x.sent[d]) {
			t.Errorf("%v: %d octets, want %d: %s", d, len(r.got[d]), len(x.sent[d]), r.why[d])
		}
		if diff := cmp.Diff([]wire.How{wire.Closed}, r.ends[d]); diff != "" {
			t.Errorf("%v: ends: %s", d, diff)
		}
		if r.lost[d] != nil || r.hidden[d] != 0 {
			t.Errorf("%v: lost %v, %d octets not decrypted: %s", d, r.lost[d], r.hidden[d], r.why[d])
		}
	}
	if r.early || r.back {
		t.Errorf("Handshake is not the first call: %v, time goes back: %v", r.early, r.back)
	}
	want := Info{
		Version: x.state.Version, CipherSuite: x.state.CipherSuite, ALPN: "h2", Offered: []string{"h2", "http/1.1"},
		ServerName: "example.com", Resumed: x.state.DidResume, HelloRetry: x.state.HelloRetryRequest,
	}
	if len(r.info) != 1 || len(r.info[0].ClientRandom) != 32 {
		t.Fatalf("Handshake: %+v", r.info)
	}
	r.info[0].ClientRandom = nil
	if diff := cmp.Diff(want, r.info[0]); diff != "" {
		t.Errorf("Handshake: %s", diff)
	}
}

func TestSuites(t *testing.T) {
	suites := tls.CipherSuites()
	for _, s := range tls.InsecureCipherSuites() {
		if findSuite(version12, s.ID) != nil {
			suites = append(suites, s)
		}
	}
	for _, s := range suites { // crypto/tls chooses that of TLS 1.3 itself
		for _, version := range s.SupportedVersions {
			if version != tls.VersionTLS12 && version != tls.VersionTLS13 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", tls.VersionName(version), s.Name), func(t *testing.T) {
				client, server := configs()
				client.MinVersion, client.MaxVersion = version, version
				client.CipherSuites, server.CipherSuites = []uint16{s.ID}, []uint16{s.ID}
				requests, responses := talk()
				x := run(t, client, server, requests, responses)
				check(t, play(x.keys(), Options{}, x.pieces), x)
			})
		}
	}
}

// Small exchanges for FuzzConn.
func TestSmall(t *testing.T) {
	forProtections(t, func(t *testing.T, x *exchange) {
		client, server := limit(x.state.Version)
		client.CipherSuites, server.CipherSuites = []uint16{x.state.CipherSuite}, []uint16{x.state.CipherSuite}
		requests := [][]byte{content(24, 1), content(300, 2), content(9, 3)}
		responses := [][]byte{content(500, 4), content(30, 5), content(90, 6)}
		x = run(t, client, server, requests, responses)
		check(t, play(x.keys(), Options{}, x.pieces), x)
		x.keep(t, "go-"+strings.ToLower(tls.CipherSuiteName(x.state.CipherSuite)))
	})
}

// limit returns the configs of a version.
func limit(version uint16) (client, server *tls.Config) {
	client, server = configs()
	client.MinVersion, client.MaxVersion = version, version
	return client, server
}

func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			client, server := limit(version)
			client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			requests, responses := talk()
			k := &Keys{}
			for i := range 3 {
				x := run(t, client, server, requests, responses)
				if x.state.DidResume != (i > 0) {
					t.Fatalf("connection %d: resumed is %v", i, x.state.DidResume)
				}
				if lines := k.Add(x.keyLog.Bytes()); version == tls.VersionTLS12 && i > 0 && lines > 0 {
					t.Error("crypto/tls has logged the secret of a session that is resumed: good, but the test is moot")
				}
				check(t, play(k, Options{}, x.pieces), x)
			}
		})
	}
}

func TestHelloRetryRequest(t *testing.T) {
	client, server := limit(tls.VersionTLS13)
	client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
	server.CurvePreferences = []tls.CurveID{tls.CurveP384}
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	requests, responses := talk()
	for _, resumed := range []bool{false, true} {
		x := run(t, client, server, requests, responses)
		if !x.state.HelloRetryRequest || x.state.DidResume != resumed {
			t.Fatalf("HelloRetryRequest %v, resumed %v", x.state.HelloRetryRequest, x.state.DidResume)
		}
		check(t, play(x.keys(), Options{}, x.pieces), x)
	}
}

func TestClientCertificate(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			client, server := limit(version)
			server.ClientAuth = tls.RequireAnyClientCert
			long, _ := certificates()
			for range 40 { // so that the message takes several records
				long.Certificate = append(long.Certificate, long.Certificate[0])
			}
			client.Certificates, server.Certificates = []tls.Certificate{long}, []tls.Certificate{long}
			requests, responses := talk()
			x := run(t, client, server, requests, responses)
			check(t, play(x.keys(), Options{}, x.pieces), x)
		})
	}
}

// Directions that come one behind the other, or in small pieces, give the same.
func TestOrder(t *testing.T) {
	forProtections(t, func(t *testing.T, x *exchange) {
		want := play(x.keys(), Options{}, x.pieces)
		check(t, want, x)
		for _, first := range []wire.Dir{wire.Client, wire.Server} {
			var pieces []piece
			for _, d := range []wire.Dir{first, first.Other()} {
				for _, p := range x.pieces {
					if p.d == d {
						pieces = append(pieces, p)
					}
				}
			}
			check(t, play(x.keys(), Options{}, pieces), x)
		}
		rnd := rand.New(rand.NewPCG(5, 6))
		for range rounds(20) {
			check(t, play(x.keys(), Options{}, shred(x.pieces, rnd)), x)
		}
	})
}

// shred divides pieces at random, and joins them, and has the directions lag behind each other.
func shred(pieces []piece, rnd *rand.Rand) (out []piece) {
	var left [2][]byte
	emit := func(d wire.Dir, n int) {
		n = min(n, len(left[d]))
		out = append(out, piece{d, left[d][:n]})
		left[d] = left[d][n:]
	}
	for _, p := range pieces {
		left[p.d] = append(left[p.d], p.octets...)
		for rnd.IntN(3) > 0 {
			emit(wire.Dir(rnd.IntN(2)), 1+rnd.IntN([]int{5, 1460, 40000}[rnd.IntN(3)]))
		}
	}
	for len(left[0])+len(left[1]) > 0 {
		emit(wire.Dir(rnd.IntN(2)), 1+rnd.IntN(5000))
	}
	return out
}
