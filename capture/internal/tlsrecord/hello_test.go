package tlsrecord

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// extension returns an extension.
func extension(typ int, body ...byte) []byte {
	return append([]byte{byte(typ >> 8), byte(typ), byte(len(body) >> 8), byte(len(body))}, body...)
}

// helloBody returns the body of a ClientHello.
func helloBody(extensions ...[]byte) []byte {
	body := append([]byte{3, 3}, bytes.Repeat([]byte{7}, 32)...)
	body = append(body, 2, 0xaa, 0xbb)                            // session ID
	body = append(body, 0, 6, 0x1a, 0x1a, 0x13, 0x01, 0xc0, 0x2f) // suites, one of GREASE
	body = append(body, 1, 0)                                     // compression
	all := bytes.Join(extensions, nil)
	return append(append(body, byte(len(all)>>8), byte(len(all))), all...)
}

func TestParseClientHello(t *testing.T) {
	name := []byte("example.com")
	got, ok := parseClientHello(helloBody(
		extension(0x2a2a),
		extension(extServerName, append([]byte{0, 14, 0, 0, 11}, name...)...),
		extension(extALPN, 0, 15, 2, 'h', '2', 2, 0x3a, 0x3a, 8, 'h', 't', 't', 'p', '/', '1', '.', '1'),
		extension(extSessionTicket, 1, 2, 3),
		extension(extEarlyData),
		extension(extEncryptedClientHello, 0),
		extension(0x9a9a, 0),
	))
	want := clientHello{
		random: random(bytes.Repeat([]byte{7}, 32)), sessionID: []byte{0xaa, 0xbb},
		serverName: "example.com", alpn: []string{"h2", "http/1.1"}, ticket: []byte{1, 2, 3},
		earlyData: true, encrypted: true,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(clientHello{})); diff != "" || !ok {
		t.Errorf("%v: %s", ok, diff)
	}
}

// Hellos that are cut anywhere, or have no extensions, do no harm.
func TestParseHelloCut(t *testing.T) {
	whole := helloBody(extension(extALPN, 0, 3, 2, 'h', '2'), extension(extServerName, 0, 4, 0, 0, 1, 'x'))
	for n := range whole {
		_, ok := parseClientHello(whole[:n])
		if fixed := 2 + 32 + 3 + 8 + 2; ok != (n >= fixed) {
			t.Errorf("%d octets: ok is %v", n, ok)
		}
		parseServerHello(whole[:n])
		parseEncryptedExtensions(whole[:n])
		parseTicket(whole[:n])
	}
}

func TestLooksLikeClientHello(t *testing.T) {
	hello := []byte{22, 3, 1, 2, 0, 1, 0, 1}
	for n := range 6 {
		if g := LooksLikeClientHello(hello[:n]); g != Maybe {
			t.Errorf("%d octets: %d, want Maybe", n, g)
		}
	}
	if g := LooksLikeClientHello(hello); g != Yes {
		t.Errorf("whole: %d, want Yes", g)
	}
	for _, p := range []string{
		"P", "PRI * HTTP/2.0", "\x16\x02", "\x16\x03\x01\x02\x00\x02", "\x17\x03\x03", "\x16\x03\x01\xff",
	} {
		if g := LooksLikeClientHello([]byte(p)); g != No {
			t.Errorf("%q: %d, want No", p, g)
		}
	}
}

func TestLooksLikeRecords(t *testing.T) {
	record := append([]byte{23, 3, 3, 0, 40}, bytes.Repeat([]byte{9}, 40)...)
	two := append(append([]byte("tail of a record"), record...), record...)
	tests := []struct {
		name string
		p    []byte
		want Guess
	}{
		{"nothing", nil, Maybe},
		{"two records", two, Yes},
		{"one record", two[:16+45], Maybe},
		{"little text", bytes.Repeat([]byte("HTTP/1.1"), 100), Maybe},
		{"text", bytes.Repeat([]byte("HTTP/1.1"), 10000), No},
		{"octets like headers", bytes.Repeat([]byte{23, 3, 3, 0, 40, 0}, 10000), No},
	}
	for _, tt := range tests {
		if got := LooksLikeRecords(tt.p); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
