package core

import "github.com/sluice-go/sluice/stream"

// Trim gives up the memory that only spares work for the next messages. It is for a connection on which nothing happens;
// what comes next makes the memory again. It takes both the reader and the lock.
func (c *Conn) Trim() {
	c.in.block.trim()
	c.in.msg = Message{}
	c.enc.trim()
	if c.nextEvent == len(c.events) {
		c.events, c.nextEvent = nil, 0
	}
	if c.streams.Len() == 0 {
		c.streams = stream.Table[*Stream]{}
	}
}

// trim drops what only spares work or memory for later blocks; the tables of HPACK have to stay.
func (d *blockDecoder) trim() {
	if len(d.block) > 0 {
		return // one is under way
	}
	d.block, d.crumbs, d.memo, d.joined = nil, nil, nil, ""
	d.last = lastBlock{}
}

// trim gives up the table, too. Unlike the decoder's it is ours to give up: the next block begins by making the peer's copy
// empty (RFC 7541 §4.2). For three octets and what is sent once more, an idle connection is spared most of what a table takes
// here: hpack.Encoder keeps two maps.
func (e *blockEncoder) trim() {
	e.memo, e.out.b, e.last = nil, nil, lastEncoded{}
	if e.hpack != nil {
		e.hpack = nil
		e.update, e.low = true, 0
	}
}
