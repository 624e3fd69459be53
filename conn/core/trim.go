package core

import (
	"github.com/sluice-go/sluice/stream"
)

// Trim gives up the memory that only spares work for the next messages. It is for a connection on
// which nothing happens; what comes next makes the memory again. It takes both the reader and the
// lock, and must not come between Decode and Apply.
func (d Driver) Trim() {
	d.in.block.Compact()
	d.in.found = nil
	d.enc.Compact()
	if d.nextEvent == len(d.events) {
		d.events, d.nextEvent = nil, 0
	}
	if d.streams.Len() == 0 {
		d.streams = stream.Table[*Stream]{}
	}
}
