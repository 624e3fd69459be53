package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"fmt"
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
	for _, s := range suites {
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
