package tlsrecord

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// zeroLog is a key log with all secrets of the client random of zeros.
func zeroLog() []byte {
	var log bytes.Buffer
	zeros := func(n int) string { return hex.EncodeToString(make([]byte, n)) }
	fmt.Fprintf(&log, "CLIENT_RANDOM %s %s\n", zeros(32), zeros(48))
	for l := range labels {
		fmt.Fprintf(&log, "%s %s %s\n", l, zeros(32), zeros(32))
	}
	for _, l := range []string{"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_1"} {
		fmt.Fprintf(&log, "%s %s %s\n", l, zeros(32), zeros(32))
	}
	return log.Bytes()
}

// scriptRecords are the records that FuzzHandshake has to choose from.
func scriptRecords() [][]byte {
	client := func(extensions ...[]byte) []byte {
		body := append([]byte{3, 3}, make([]byte, 32)...)
		all := bytes.Join(extensions, nil)
		body = append(body, 0, 0, 2, 0x13, 0x01, 1, 0, byte(len(all)>>8), byte(len(all)))
		return handshakeRecord(msgClientHello, append(body, all...))
	}
	records := [][]byte{
		client(),
		client(extension(extEarlyData)),
		client(extension(extEncryptedClientHello, 0), extension(extSessionTicket, 1)),
		plainRecord(recChangeCipherSpec, 1),
		plainRecord(recData, make([]byte, 40)...),
		plainRecord(recData),
		plainRecord(recAlert, 2, 40),
		plainRecord(recHeartbeat, 0),
		handshakeRecord(msgCertificate, make([]byte, 30)),
		handshakeRecord(msgNewSessionTicket, []byte{0, 0, 0, 1, 0, 1, 1}),
		handshakeRecord(msgFinished, make([]byte, 12)),
		handshakeRecord(msgEncryptedExtensions, []byte{0, 4, 0, extEarlyData, 0, 0}),
		handshakeRecord(msgKeyUpdate, []byte{0}),
	}
	for _, r := range []random{{1}, helloRetry} {
		for _, suite := range []uint16{0x1301, 0x1302, 0xc02f, 0x002f, 0x0005} {
			for _, version := range []uint16{0, version12, version13, 0x7f1c} {
				records = append(records, helloRecord(r, suite, version))
			}
		}
	}
	// A record that the secret of zeros opens, as data of the server and as its handshake.
	for _, content := range []byte{recData, recHandshake, recAlert} {
		k := newKey13(&suites13[0], make([]byte, 32))
		a := k.opener.(*aead)
		header := []byte{recData, 3, 3, 0, 5 + 1 + 16}
		plain := []byte{msgKeyUpdate, 0, 0, 1, 0, content}
		records = append(records, a.Seal(header, a.iv[:], plain, header[:5:5]))
	}
	return records
}

// FuzzHandshake plays records in any order: each octet of the script is one of a direction.
func FuzzHandshake(f *testing.F) {
	records, log := scriptRecords(), zeroLog()
	f.Add([]byte{0, 4, 0x80 | 27, 0x80 | 4, 3, 0x80 | 3, 4})
	f.Add([]byte{2, 0x80 | 28, 0x80 | 19, 9, 0x80 | 55, 55, 0x80 | 54})
	f.Add([]byte{1, 4, 4, 0x80 | 35, 1, 0x80 | 15, 0x80 | 53, 53, 127, 0x80 | 126})
	f.Fuzz(func(t *testing.T, script []byte) {
		k, r := &Keys{}, &result{}
		o := Options{HoldBack: len(script) % 2 << 12, StartMissing: len(script)%5 == 4}
		c := New(k, r, o)
		for i, b := range script {
			d := wire.Dir(b >> 7)
			at := time.Unix(int64(i), 0)
			switch n := int(b & 127); {
			case n < len(records):
				c.Octets(d, at, records[n])
			case n == 127:
				c.Lost(d, at, -1, "")
			case n == 126:
				c.Lost(d, at, int64(i)+1, "")
			default:
				k.Add(log)
			}
		}
		for d := range 2 {
			c.End(wire.Dir(d), time.Unix(1e6, 0), wire.Closed)
		}
		if len(r.info) != 1 || len(r.ends[0]) != 1 || len(r.ends[1]) != 1 || r.early || k.held != 0 {
			t.Fatalf("infos %v, ends %v, early %v, held %d", r.info, r.ends, r.early, k.held)
		}
	})
}
