package header

import "golang.org/x/net/http2/hpack"

// Compact packs the table, and drops what only spares work or memory for later blocks.
func (d *Decoder) Compact() {
	if d.decoderScratch == nil || len(d.block) > 0 || d.discarding != nil || d.err != nil {
		return // one is under way, or none will come
	}
	d.pack()
	d.decoderScratch = nil
}

// pack puts a header block in the place of the table: one that enters what is in the table, oldest
// first. That takes a quarter to a half of the memory of an hpack.Decoder.
func (d *Decoder) pack() {
	if d.hpack == nil {
		return
	}
	var table []Field
	d.hpack.SetEmitFunc(func(f Field) { table = append(table, f) })
	for i := uint32(len(staticTable)); ; i++ { // the newest entry and what is behind it (RFC 7541 §2.3.3)
		if _, err := d.hpack.Write(appendInteger(nil, reprIndexed, 7, i)); err != nil {
			break // there is none
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
	d.hpack, d.packed = nil, string(b)
}

// unpack enters what was packed into the table of a new decoder.
func (d *Decoder) unpack() {
	d.hpack.SetEmitFunc(func(hpack.HeaderField) {})
	_, err := d.hpack.Write([]byte(d.packed))
	if err == nil {
		err = d.hpack.Close()
	}
	if err != nil {
		panic("BUG: the packed HPACK table cannot be decoded: " + err.Error())
	}
	d.hpack.SetEmitFunc(d.emit)
	d.packed = ""
}

// Compact gives up the table, too. Unlike the decoder's it is ours to give up: the next block begins
// by making the peer's copy empty (RFC 7541 §4.2). For four octets and what is sent once more, an
// idle connection is spared most of what a table takes here: hpack.Encoder keeps two maps.
func (e *Encoder) Compact() {
	if e.encoderScratch != nil && e.hpack != nil {
		e.update, e.low = true, 0
	}
	e.encoderScratch = nil
}
