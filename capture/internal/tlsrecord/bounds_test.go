package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// hello returns the hellos of a connection of TLS 1.3 whose client random begins with n.
func hellos13(n uint32) (client, server []byte) {
	body := helloBody(extension(extSupportedVersions, 2, 3, 4))
	binary.BigEndian.PutUint32(body[2:], n)
	client = handshakeRecord(msgClientHello, body)
	body = append([]byte{3, 3}, bytes.Repeat([]byte{9}, 32)...)
	body = append(body, 0, 0x13, 0x01, 0, 0, 6)
	return client, handshakeRecord(msgServerHello, append(body, extension(extSupportedVersions, 3, 4)...))
}

func handshakeRecord(typ byte, body []byte) []byte {
	n := len(body)
	return append([]byte{recHandshake, 3, 3, byte((n + 4) >> 8), byte(n + 4), typ, 0, byte(n >> 8), byte(n)}, body...)
}

// dataRecord returns a record that nothing opens.
func dataRecord(n int) []byte {
	return append([]byte{recData, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
}

// What waits for secrets is bounded, of a connection and of all of them.
func TestHoldBackBound(t *testing.T) {
	for _, o := range []Options{{}, {HoldBack: 1 << 10}, {HoldBack: DefaultHoldBack}} {
		k := &Keys{}
		client, server := hellos13(1)
		r := &result{}
		c := New(k, r, o)
		c.Octets(wire.Client, time.Time{}, client)
		c.Octets(wire.Server, time.Time{}, server)
		most := 0
		record := dataRecord(1000)
		for range 4000 {
			c.Octets(wire.Server, time.Time{}, record)
			most = max(most, k.held)
		}
		if want := max(o.HoldBack, minHoldBack) + 2000; most > want || o.HoldBack == 0 && most > 0 {
			t.Errorf("%+v: %d octets are held, want at most %d", o, most, want)
		}
		if c.End(wire.Server, time.Time{}, wire.Closed); r.hidden[wire.Server] != 4000*1005 {
			t.Errorf("%+v: %d octets not decrypted", o, r.hidden[wire.Server])
		}
		if c.End(wire.Client, time.Time{}, wire.Closed); k.held != 0 {
			t.Errorf("%+v: %d octets are still held", o, k.held)
		}
	}
}

func TestHoldBackBoundOfAll(t *testing.T) {
	k := &Keys{}
	most := 0
	var conns []*Conn
	for i := range 100 {
		client, server := hellos13(uint32(i))
		c := New(k, &discard{}, Options{HoldBack: DefaultHoldBack})
		c.Octets(wire.Client, time.Time{}, client)
		c.Octets(wire.Server, time.Time{}, server)
		for range 500 {
			c.Octets(wire.Server, time.Time{}, dataRecord(1000))
			most = max(most, k.held)
		}
		conns = append(conns, c)
	}
	if most > maxHeld+2000 {
		t.Errorf("%d octets are held, want at most %d", most, maxHeld)
	}
	for _, c := range conns {
		c.End(wire.Client, time.Time{}, wire.Open)
		c.End(wire.Server, time.Time{}, wire.Open)
	}
	if k.held != 0 {
		t.Errorf("%d octets are still held", k.held)
	}
}

// A connection takes little memory while it is idle, or within a short record.
func TestMemoryOfIdle(t *testing.T) {
	x := simple(t, tls.VersionTLS13)
	k := x.keys()
	var conns []*Conn
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 1000
	for range n {
		c := New(k, &discard{}, Options{})
		for _, p := range x.pieces[:len(x.pieces)-2] {
			c.Octets(p.d, time.Time{}, p.octets)
		}
		c.Octets(wire.Client, time.Time{}, []byte{recData, 3, 3, 1, 0, 1, 2, 3})
		conns = append(conns, c)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 8<<10 {
		t.Errorf("a connection takes %d octets", each)
	}
	runtime.KeepAlive(conns)
}

// Octets that look like records everywhere cost little: the search is bounded by what comes.
func TestSearchBound(t *testing.T) {
	for _, p := range [][]byte{
		bytes.Repeat([]byte{recData, 3, 3, 0, 17}, 200_000), // a header at each fifth octet
		bytes.Repeat(dataRecord(40), 20_000),
		bytes.Repeat(dataRecord(16000), 60),
	} {
		for name, x := range load(t) {
			if testing.Short() && name != "openssl-keyupdate.json" {
				continue
			}
			r := &result{}
			c := New(x.keys(), r, Options{})
			for _, piece := range x.pieces[:len(x.pieces)*2/3] {
				c.Octets(piece.d, time.Time{}, piece.octets)
			}
			c.Lost(wire.Server, time.Time{}, -1, "")
			before := len(r.got[wire.Server])
			budget := c.budget
			c.Octets(wire.Server, time.Time{}, p)
			spent := budget + int64(len(p))*budgetPerOctet - c.budget
			if most := minBudget + int64(len(p))*budgetPerOctet + 1<<20; spent > most {
				t.Errorf("%s: %d octets are decrypted in vain, want at most %d", name, spent, most)
			}
			c.End(wire.Server, time.Time{}, wire.Closed)
			if len(r.got[wire.Server]) != before {
				t.Errorf("%s: octets were made up", name)
			}
		}
	}
}
