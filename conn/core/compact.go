package core

import (
	"github.com/sluice-go/sluice/stream"
)

// Trim gives up the memory that only spares work for the next messages. It is for a connection on
// which nothing happens; what comes next makes the memory again. It takes both the reader and the
// lock, and must not come between Decode and Apply.
func (d Driver) Compact() {
	d.dec.hpack.Compact()
	d.dec.decoded = nil
	d.enc.Compact()
	if d.events.next == len(d.events.list) {
		d.events.list, d.events.next = nil, 0
	}
	if d.streams.Len() == 0 {
		d.streams.Table = stream.Table[*Stream]{}
	}
}
