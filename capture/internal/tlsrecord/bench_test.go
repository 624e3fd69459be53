package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// discard is a Sink that counts octets.
type discard struct{ n int64 }

func (d *discard) Handshake(Info)                                 {}
func (d *discard) Octets(_ wire.Dir, _ time.Time, p []byte)       { d.n += int64(len(p)) }
func (d *discard) Lost(wire.Dir, time.Time, int64, string)        {}
func (d *discard) End(wire.Dir, time.Time, wire.How)              {}
func (d *discard) Undecrypted(string, wire.Dir, time.Time, int64) {}

// download is an exchange whose server sends n octets; split divides it at the first record of a
// direction that is as long as may be.
func download(t testing.TB, version, suite uint16, n int) *exchange {
	client, server := limit(version)
	client.CipherSuites, server.CipherSuites = []uint16{suite}, []uint16{suite}
	return run(t, client, server, [][]byte{{1}}, [][]byte{content(n, 1)})
}

// packets divides pieces into those of at most n octets.
func packets(pieces []piece, n int) (out []piece) {
	for _, p := range pieces {
		for len(p.octets) > 0 {
			k := min(n, len(p.octets))
			out = append(out, piece{p.d, p.octets[:k]})
			p.octets = p.octets[k:]
		}
	}
	return out
}

func BenchmarkConn(b *testing.B) {
	for _, s := range []struct{ version, suite uint16 }{
		{tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256},
		{tls.VersionTLS13, tls.TLS_CHACHA20_POLY1305_SHA256},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
	} {
		const size = 16 << 20
		x := download(b, s.version, s.suite, size)
		for _, n := range []int{1448, 64 << 10} {
			pieces := packets(x.pieces, n)
			b.Run(fmt.Sprintf("%s/segment=%d", tls.CipherSuiteName(s.suite), n), func(b *testing.B) {
				b.SetBytes(size)
				b.ReportAllocs()
				k := x.keys()
				for b.Loop() {
					d := &discard{}
					c := New(k, d, Options{})
					for _, p := range pieces {
						c.Octets(p.d, time.Time{}, p.octets)
					}
					if d.n != size+1 {
						b.Fatalf("%d octets", d.n)
					}
				}
			})
		}
	}
}

// Records cost no memory once the handshake is over.
func TestAllocs(t *testing.T) {
	for _, p := range protections[:3] {
		x := download(t, p.version, p.id, 4<<20)
		all := packets(x.pieces, 1448)
		d := &discard{}
		c := New(x.keys(), d, Options{})
		half := len(all) / 2
		for _, p := range all[:half] {
			c.Octets(p.d, time.Time{}, p.octets)
		}
		rest, i := all[half:len(all)-20], 0
		n := testing.AllocsPerRun(len(rest)-2, func() {
			c.Octets(rest[i].d, time.Time{}, rest[i].octets)
			i++
		})
		if n > 0 {
			t.Errorf("%s: %v allocations for a segment", tls.CipherSuiteName(p.id), n)
		}
	}
}

// What a Conn takes from its caller is not changed.
func TestInputUnchanged(t *testing.T) {
	x := download(t, tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256, 1<<20)
	pieces := packets(x.pieces, 40000)
	var before [][]byte
	for _, p := range pieces {
		before = append(before, bytes.Clone(p.octets))
	}
	play(x.keys(), Options{}, pieces)
	for i, p := range pieces {
		if !bytes.Equal(p.octets, before[i]) {
			t.Fatalf("piece %d has changed", i)
		}
	}
}
