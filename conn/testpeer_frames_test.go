package conn

import (
	"strconv"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/h2test"
)

// text is how a testPeer writes frames.
var text = h2test.Text{Checksums: true}

// status2 are the fields of a response without anything but its status.
func status2(code int, pairs ...string) []header.Field {
	return append(h2test.Fields(":status: "+strconv.Itoa(code)), h2test.Pairs(pairs...)...)
}

// next takes one item off what the peer has read.
func (p *testPeer) next() (any, bool) {
	item, n, err := p.codec.Next(p.in)
	if err != nil {
		p.t.Fatal(err)
	}
	if n == 0 {
		if len(p.in) > 0 {
			p.t.Fatalf("%d octets of a frame that does not end: %q", len(p.in), p.in[:min(len(p.in), 40)])
		}
		return nil, false
	}
	p.in = p.in[n:]
	if b, ok := item.(h2test.Block); ok {
		b.Frames = 0 // into how many a block is cut is the connection's own business
		item = b
	}
	return item, true
}
