package tlsrecord

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// plainRecord is a record that is not encrypted.
func plainRecord(typ byte, p ...byte) []byte {
	return append([]byte{typ, 3, 3, byte(len(p) >> 8), byte(len(p))}, p...)
}

// helloRecord is a record with a ServerHello. version is that of its extension, 0 is none.
func helloRecord(r random, suite, version uint16) []byte {
	body := append([]byte{3, 3}, r[:]...)
	body = append(body, 0, byte(suite>>8), byte(suite), 0)
	if version != 0 {
		body = append(body, 0, 6, 0, extSupportedVersions, 0, 2, byte(version>>8), byte(version))
	}
	return plainRecord(recHandshake, append([]byte{msgServerHello, 0, 0, byte(len(body))}, body...)...)
}

// A HelloRetryRequest behind a ServerHello, which no server sends, does not mix what the two say.
func TestRetryBehindServerHello(t *testing.T) {
	client := append([]byte{3, 3}, make([]byte, 32)...)
	client = append(client, 0, 0, 2, 0x13, 0x01, 1, 0)
	hello := plainRecord(recHandshake, append([]byte{msgClientHello, 0, 0, byte(len(client))}, client...)...)
	ccs, data := plainRecord(recChangeCipherSpec, 1), plainRecord(recData, make([]byte, 64)...)
	zeros := func(n int) string { return hex.EncodeToString(make([]byte, n)) }
	var log bytes.Buffer
	for l := range labels {
		fmt.Fprintf(&log, "%s %s %s\n", l, zeros(32), zeros(48))
	}
	for _, script := range [][][]byte{
		{helloRecord(random{1}, 0x1301, version13), helloRecord(helloRetry, 0x1301, 0)},
		{helloRecord(random{1}, 0xc02f, 0), helloRecord(helloRetry, 0xc02f, version13)},
	} {
		for _, behind := range [][]byte{ccs, data} {
			var k Keys
			k.Add(log.Bytes())
			r := &result{}
			c := New(&k, r, Options{})
			now := time.Unix(0, 0)
			c.Octets(wire.Client, now, hello)
			for _, p := range append(script, behind, data) {
				c.Octets(wire.Server, now, p)
				c.Octets(wire.Client, now, behind)
			}
			c.End(wire.Client, now, wire.Closed)
			c.End(wire.Server, now, wire.Closed)
		}
	}
}

// What is decrypted in vain is bounded for all connections together, too.
func TestVainBound(t *testing.T) {
	k := simple(t, version13).keys()
	k.vain = maxVain - minBudget
	record := plainRecord(recData, make([]byte, 17)...)
	for range 100 {
		c := New(k, &discard{}, Options{StartMissing: true})
		for d := range c.halves {
			c.Octets(wire.Dir(d), time.Unix(0, 0), append(record, record...))
			c.End(wire.Dir(d), time.Unix(0, 0), wire.Closed)
		}
	}
	if most := maxVain + k.octets*budgetPerOctet + 4*100*deriveCost; k.octets != 100*4*22 || k.vain > most {
		t.Errorf("%d octets were decrypted in vain for %d; at most %d are meant", k.vain, k.octets, most)
	}
	// A connection of which nothing is missing needs none of that.
	x := simple(t, version13)
	k.Add(x.keyLog.Bytes())
	check(t, play(k, Options{}, x.pieces), x)
}
