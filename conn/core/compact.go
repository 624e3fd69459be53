package core

import (
	"github.com/sluice-go/sluice/stream"
)

// Compact frees memory that only saves work for the next messages, which allocate it again. It is
// for a connection that is idle. It belongs to the reader and needs the lock, too, and must not be
// called between Decode and Apply.
func (d Driver) Compact() {
	d.dec.hpack.Compact()
	if !d.dec.pending.open { // otherwise it may have the refusal of a header block that is being received
		d.dec.decoded = nil
	}
	d.enc.Compact()
	if d.events.next == len(d.events.list) {
		d.events.list, d.events.next = nil, 0
	}
	if d.streams.Len() == 0 {
		d.streams.Table = stream.Table[*Stream]{}
	}
}
