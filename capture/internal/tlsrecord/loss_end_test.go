package tlsrecord

import (
	"bytes"
	"testing"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// overwrite returns pieces in which the octets of a direction from at are others.
func overwrite(pieces []piece, d wire.Dir, at int, octets []byte) (out []piece) {
	for _, p := range pieces {
		p.octets = bytes.Clone(p.octets)
		if p.d == d {
			for i := range p.octets {
				if j := i - at; j >= 0 && j < len(octets) {
					p.octets[i] = octets[j]
				}
			}
			at -= len(p.octets)
		}
		out = append(out, p)
	}
	return out
}

// Behind a loss, octets that look like the header of a record longer than all that comes hide no
// record.
func TestLossWithFalseHeader(t *testing.T) {
	forProtections(t, func(t *testing.T, x *exchange) {
		records := x.records(wire.Server)
		s := records[len(records)-2] // the last one is close_notify
		pieces := overwrite(x.pieces, wire.Server, s.a+20, []byte{recData, 3, 3, 0x40, 0})
		r := playHoles(x.keys(), Options{}, pieces, true, hole{wire.Server, s.a, s.a + 10})
		missing := checkTrue(t, r, x, wire.Server)
		if r.hidden[wire.Server] != 0 || missing == 0 || missing > s.b-s.a || len(r.lost[wire.Server]) != 1 {
			t.Errorf("%d octets not decrypted (%s), %d of %d missing, lost %v",
				r.hidden[wire.Server], r.why[wire.Server], missing, s.b-s.a, r.lost[wire.Server])
		}
	})
}
