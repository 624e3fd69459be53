package header

import "golang.org/x/net/http2/hpack"

// Compact frees the memory that only spares work for later blocks, and keeps the table in a compact
// form. It is for a connection on which nothing happens, and does nothing while a block is being
// received.
func (d *Decoder) Compact() {
	if d.decoderScratch == nil || len(d.block) > 0 || d.discarding != nil || d.err != nil {
		return // a block is being received, or none will be decoded any more
	}
	d.serializeTable()
	d.decoderScratch = nil
}

// serializeTable replaces the hpack.Decoder by a header block that enters the entries of its table,
// oldest first. That takes a quarter to a half of the memory.
func (d *Decoder) serializeTable() {
	if d.hpack == nil {
		return
	}
	var table []Field
	d.hpack.SetEmitFunc(func(f Field) { table = append(table, f) })
	for i := uint32(len(staticTable)); ; i++ { // the newest entry and what is behind it (RFC 7541 §2.3.3)
		if _, err := d.hpack.Write(appendInteger(nil, reprIndexed, 7, i)); err != nil {
			break // there is no such entry
		}
	}
	var b []byte
	for i := len(table) - 1; i >= 0; i-- {
		f := &table[i]
		known := lookup(f.Name).first
		if b = appendInteger(b, reprIncremental, 6, uint32(known)); known == 0 {
			b = appendString(b, f.Name)
		}
		b = appendString(b, f.Value)
	}
	d.hpack, d.serialized = nil, string(b)
}

// restoreTable enters the serialized entries into the table of a new hpack.Decoder.
func (d *Decoder) restoreTable() {
	d.hpack.SetEmitFunc(func(hpack.HeaderField) {})
	_, err := d.hpack.Write([]byte(d.serialized))
	if err == nil {
		err = d.hpack.Close()
	}
	if err != nil {
		panic("BUG: the serialized HPACK table cannot be decoded: " + err.Error())
	}
	d.hpack.SetEmitFunc(d.emit)
	d.serialized = ""
}

// Compact frees the memory of the table and of the caches. Unlike the decoder, an encoder may empty
// the table: its next block begins with a size update that empties the peer's copy (RFC 7541
// §4.2). That costs four octets, and fields that are sent once more; hpack.Encoder's two maps are
// freed.
func (e *Encoder) Compact() {
	if e.encoderScratch != nil && e.hpack != nil {
		e.updateDue, e.minSize = true, 0
	}
	e.encoderScratch = nil
}
