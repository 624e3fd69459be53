package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// A hole is what is missing of a direction: octets from a up to b.
type hole struct {
	d    wire.Dir
	a, b int
}

// playHoles gives pieces to a Conn, without what is in the holes. cut says where else octets are
// divided.
func playHoles(k *Keys, o Options, pieces []piece, known bool, holes ...hole) *result {
	r := &result{}
	c := New(k, r, o)
	t := time.Unix(1, 0)
	var at [2]int
	for _, p := range pieces {
		t = t.Add(time.Millisecond)
		start := at[p.d]
		at[p.d] += len(p.octets)
		from := start
		for _, h := range holes {
			if h.d != p.d || h.b <= start || h.a >= at[p.d] {
				continue
			}
			a, b := max(h.a, start), min(h.b, at[p.d])
			c.Octets(p.d, t, p.octets[from-start:a-start])
			if known {
				c.Lost(p.d, t, int64(b-a), "")
			} else {
				c.Lost(p.d, t, -1, "")
			}
			from = b
		}
		c.Octets(p.d, t, p.octets[from-start:])
	}
	c.End(wire.Client, t, wire.Closed)
	c.End(wire.Server, t, wire.Closed)
	return r
}

// checkTrue checks that what was delivered, behind each loss too, is what has been sent, in its
// place. It returns the octets that were not delivered.
func checkTrue(t *testing.T, r *result, x *exchange, d wire.Dir) (missing int) {
	t.Helper()
	sent, got := x.sent[d], r.got[d]
	places := []int{0} // where the next octet delivered may be in sent
	from := 0
	for i := 0; i <= len(r.lost[d]); i++ {
		to := len(got)
		if i < len(r.lost[d]) {
			to = r.lost[d][i].at
		}
		if i > 0 {
			places = behind(places, r.lost[d][i-1].n, len(sent))
		}
		run := got[from:to]
		var still []int
		for _, at := range places {
			if bytes.HasPrefix(sent[at:], run) {
				still = append(still, at+len(run))
			}
		}
		if places, from = still, to; len(places) == 0 {
			t.Fatalf("%v: octets %d to %d of %d were not sent there: lost %v", d, from, to, len(got), r.lost[d])
		}
	}
	return len(sent) - len(got)
}

// behind are the places behind a loss of n octets, none of them behind end.
func behind(places []int, n int64, end int) (out []int) {
	if n < 0 {
		for at := places[0]; at <= end; at++ {
			out = append(out, at)
		}
		return out
	}
	for _, at := range places {
		if at+int(n) <= end {
			out = append(out, at+int(n))
		}
	}
	return out
}

// span is a record on the tape.
type span struct{ a, b int }

// records are those of a direction.
func (x *exchange) records(d wire.Dir) (all []span) {
	p := x.octets(d)
	for at := 0; at < len(p); {
		n := headerSize + int(binary.BigEndian.Uint16(p[at+3:]))
		all = append(all, span{at, at + n})
		at += n
	}
	return all
}

// protections are one suite for each way of protection. That of ChaCha20 in TLS 1.3 is in testdata.
var protections = []struct{ version, id uint16 }{
	{tls.VersionTLS13, tls.TLS_AES_128_GCM_SHA256}, // crypto/tls cannot be made to use another one
	{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
	{tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
	{tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA},
}

// rounds is how often something random is tried: less often with -short, as without AES hardware.
func rounds(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// forProtections runs a test for each of them.
func forProtections(t *testing.T, f func(t *testing.T, x *exchange)) {
	for _, p := range protections {
		t.Run(fmt.Sprintf("%s/%s", tls.VersionName(p.version), tls.CipherSuiteName(p.id)), func(t *testing.T) {
			client, server := configs()
			client.MinVersion, client.MaxVersion = p.version, p.version
			client.CipherSuites, server.CipherSuites = []uint16{p.id}, []uint16{p.id}
			requests, responses := talk()
			x := run(t, client, server, requests, responses)
			f(t, x)
		})
	}
}

// handshakeRecords is how many records a direction has sent when its first data comes: by the
// plaintext of the records behind them.
func handshakeRecords(t *testing.T, x *exchange, d wire.Dir) int {
	t.Helper()
	for i, s := range x.records(d) {
		r := playHoles(x.keys(), Options{}, x.pieces, true, hole{d, s.b, 1 << 30})
		if len(r.got[d]) > 0 {
			return i
		}
	}
	t.Fatal("no data")
	return 0
}

// Every record that is whole behind a loss is delivered, and, where it can be known, the number of
// octets that are missing is right.
func TestLossInData(t *testing.T) {
	forProtections(t, func(t *testing.T, x *exchange) {
		rnd := rand.New(rand.NewPCG(1, 2))
		suite := findSuite(x.state.Version, x.state.CipherSuite)
		var overhead int
		if suite.kind != aesCBC {
			overhead = newAEAD(suite, x.state.Version, make([]byte, suite.key), make([]byte, 12)).overhead()
		}
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			first := handshakeRecords(t, x, d)
			records := x.records(d)
			data := records[first : len(records)-1] // without close_notify
			start, end := data[0].a, data[len(data)-1].b
			for range rounds(200) {
				a := start + rnd.IntN(end-start)
				b := a + 1 + rnd.IntN([]int{30, 1460, 20000, 60000}[rnd.IntN(4)])
				known := rnd.IntN(4) > 0
				if b > end {
					continue
				}
				r := playHoles(x.keys(), Options{}, x.pieces, known, hole{d, a, b})
				missing := checkTrue(t, r, x, d)
				if r.hidden[d] > 0 {
					t.Fatalf("%v: hole %d to %d: %d octets not decrypted: %s", d, a, b, r.hidden[d], r.why[d])
				}
				want := 0
				for _, s := range data {
					if s.a < b && s.b > a {
						want += s.b - s.a - overhead
					}
				}
				if missing > want || suite.kind != aesCBC && missing != want {
					t.Fatalf("%v: hole %d to %d: %d octets are missing, want %d", d, a, b, missing, want)
				}
				if len(r.lost[d]) != 1 {
					t.Fatalf("%v: hole %d to %d: lost %v", d, a, b, r.lost[d])
				}
				tickets := d == wire.Server && x.state.Version == tls.VersionTLS13 && a < data[min(ticketRecords, len(data)-1)].b
				if l := r.lost[d][0]; known && suite.kind != aesCBC && l.at > 0 && l.n != int64(want) && !tickets {
					t.Fatalf("%v: hole %d to %d: lost %v, want %d", d, a, b, l, want)
				}
			}
		}
	})
}

// Holes anywhere, the handshake too: what is delivered is true, and each direction ends.
func TestLossAnywhere(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	test := func(t *testing.T, x *exchange) {
		for range rounds(300) {
			holes := randomHoles(x, rnd)
			r := playHoles(x.keys(), Options{}, x.pieces, rnd.IntN(3) > 0, holes...)
			for _, d := range []wire.Dir{wire.Client, wire.Server} {
				missing := checkTrue(t, r, x, d)
				if missing > 0 && len(r.lost[d]) == 0 && r.hidden[d] == 0 {
					t.Fatalf("holes %v: %v: %d octets are missing, and nothing says so", holes, d, missing)
				}
				if len(r.ends[d]) != 1 || len(r.info) != 1 || r.early {
					t.Fatalf("holes %v: ends %v, infos %v", holes, r.ends[d], r.info)
				}
			}
		}
	}
	forProtections(t, test)
	for name, x := range load(t) {
		if strings.Contains(name, "renegotiation") {
			continue // if both sides of one are missing, what was encrypted in it counts as data
		}
		t.Run(name, func(t *testing.T) { test(t, x) })
	}
}

// randomHoles are one to four holes of an exchange, in the order of each direction.
func randomHoles(x *exchange, rnd *rand.Rand) (holes []hole) {
	var at [2]int
	for range 1 + rnd.IntN(4) {
		d := wire.Dir(rnd.IntN(2))
		last := len(x.octets(d))
		if at[d] += rnd.IntN([]int{20, 2000, last}[rnd.IntN(3)]); at[d] >= last {
			continue
		}
		h := hole{d, at[d], at[d] + 1 + rnd.IntN([]int{10, 1460, 40000}[rnd.IntN(3)])}
		at[d] = h.b
		holes = append(holes, h)
	}
	return holes
}

// A hole in the handshake, of one record, costs data only where it is a hello of TLS 1.2.
func TestLossInHandshake(t *testing.T) {
	forProtections(t, func(t *testing.T, x *exchange) {
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			first := handshakeRecords(t, x, d)
			for i, s := range x.records(d)[:first] {
				for _, within := range []bool{false, true} {
					h := hole{d, s.a, s.b}
					if within {
						h.a, h.b = s.a+headerSize, s.b-(s.b-s.a-headerSize)/2
					}
					r := playHoles(x.keys(), Options{}, x.pieces, true, h)
					for _, d := range []wire.Dir{wire.Client, wire.Server} {
						missing := checkTrue(t, r, x, d)
						if hello := i == 0 && x.state.Version == tls.VersionTLS12; !hello && missing > 0 {
							t.Errorf("%v of %v: %v: %d octets are missing: %s", h, s, d, missing, r.why[d])
						} else if hello && (missing == 0 || r.why[d] == "") {
							t.Errorf("%v of %v: %v: nothing is missing: %q", h, s, d, r.why[d])
						}
					}
				}
			}
		}
	})
}

// Packets that are cut, as by tcpdump -s 200, show the records that are within what is there.
func TestCutPackets(t *testing.T) {
	forProtections(t, func(t *testing.T, x *exchange) {
		r := &result{}
		c := New(x.keys(), r, Options{})
		at := time.Unix(1, 0)
		for _, p := range packets(x.pieces, 1448) {
			n := len(p.octets)
			if handshake := len(r.got[0])+len(r.got[1]) == 0; !handshake {
				n = min(n, 146)
			}
			c.Octets(p.d, at, p.octets[:n])
			if n < len(p.octets) {
				c.Lost(p.d, at, int64(len(p.octets)-n), "cut")
			}
		}
		for _, d := range []wire.Dir{wire.Client, wire.Server} {
			c.End(d, at, wire.Closed)
			if missing := checkTrue(t, r, x, d); missing == len(x.sent[d]) || r.hidden[d] > 2000 {
				t.Errorf("%v: %d of %d octets missing, %d not decrypted: %s", d, missing, len(x.sent[d]), r.hidden[d], r.why[d])
			}
		}
	})
}
