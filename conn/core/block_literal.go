package core

// literal handles a literal field (RFC 7541 §6.2). It returns the number of octets it took, or 0 as decode.
func (d *blockDecoder) literal(p []byte) int {
	mask, indexing := byte(0x0f), p[0] >= 0x40
	if indexing {
		mask = 0x3f
	}
	index, i := d.integer(p, mask)
	if i == 0 {
		return 0
	}
	var e tableEntry
	var name, value []byte // as they came
	var nameHuffman bool
	most := d.mostHeld()
	if index != 0 {
		ref := d.entry(index)
		if ref == nil {
			return 0
		}
		e.name, e.kind = ref.name, ref.kind
	} else {
		start, n := d.stringLength(p, i)
		if start == 0 {
			return 0
		}
		if n > most || d.m.TooLarge && !indexing {
			return d.skipString(p, start, n, skipName, indexing)
		}
		nameHuffman = p[i]&0x80 != 0
		if i = start + n; i >= len(p) {
			d.want = i + 1
			return 0
		}
		name = p[start:i]
	}
	start, n := d.stringLength(p, i)
	if start == 0 {
		return 0
	}
	if n > most-len(name) || d.m.TooLarge && !indexing {
		return d.skipString(p, start, n, skipValue, indexing)
	}
	valueHuffman := p[i]&0x80 != 0
	if i = start + n; i > len(p) {
		d.want = i
		return 0
	}
	value = p[start:i]
	if !d.newField(&e, encodedString{name, nameHuffman}, encodedString{value, valueHuffman}, indexing, p[0]&0xf0 == 0x10) {
		return 0
	}
	return i
}

// mostHeld is how many octets of strings one representation may have before it is skipped. Huffman coding can make
// four octets of one, so an entry of the table can never be longer than this.
func (d *blockDecoder) mostHeld() int {
	return int(min(max(d.maxOctets, 4*d.table.max), maxHeldString))
}

// stringLength reads the length of the string at p[i:] and returns where its octets begin, 0 as decode.
func (d *blockDecoder) stringLength(p []byte, i int) (start, n int) {
	if i == len(p) {
		d.want = i + 1
		return 0, 0
	}
	length, k := d.integer(p[i:], 0x7f)
	if k == 0 {
		d.want += i
		return 0, 0
	}
	return i + k, int(length)
}

// skipString drops a field from p[start:] on, whose next string has n octets.
func (d *blockDecoder) skipString(p []byte, start, n int, what skipping, indexing bool) int {
	d.tooLarge()
	if indexing {
		d.table.clear() // RFC 7541 §4.4: an entry larger than the table empties it
	}
	d.skip, d.skipNow = n, what
	return len(p) - len(d.resume(p[start:]))
}

// resume gives p to what the last fragment left incomplete, and returns what is left of p when that is complete.
func (d *blockDecoder) resume(p []byte) []byte {
	for {
		if d.skip == 0 && d.skipNow == skipValue {
			d.skipNow = skipNothing
		}
		switch {
		case len(p) == 0 || d.err != nil:
			return nil
		case d.skip > 0:
			n := min(d.skip, len(p))
			p = p[n:]
			d.skip -= n
		case d.skipNow == skipName:
			d.held = append(d.held, p[0])
			p = p[1:]
			if length, n := d.integer(d.held, 0x7f); n > 0 {
				d.held = d.held[:0]
				d.skip, d.skipNow = int(length), skipValue
			}
		case len(d.held) == 0:
			return p
		default:
			n := min(d.want-len(d.held), len(p))
			d.held = append(d.held, p[:n]...)
			p = p[n:]
			if len(d.held) == d.want && d.decode(d.held) > 0 {
				d.held = d.held[:0]
			}
		}
	}
}

type encodedString struct {
	octets  []byte
	huffman bool
}

// decoded appends s to b, or fails.
func (d *blockDecoder) decoded(b []byte, s encodedString) ([]byte, bool) {
	if !s.huffman {
		return append(b, s.octets...), true
	}
	b, ok := appendHuffmanDecoded(b, s.octets)
	if !ok {
		d.fail("RFC 7541 §5.2", "invalid Huffman code")
	}
	return b, ok
}

// newField gives e, which has its name and kind unless there is an encoded name, its value; puts it into the
// table when indexing; and emits it. Memory for the strings is taken only once it is known that they are needed, and
// at once for both.
func (d *blockDecoder) newField(e *tableEntry, name, value encodedString, indexing, never bool) (ok bool) {
	buf, fresh := d.scratch[:0], 0 // fresh is the length of a name that needs memory
	if e.name == "" {
		if buf, ok = d.decoded(buf, name); !ok {
			return false
		}
		fresh = len(buf)
		if fresh <= maxKnownName {
			if known, _ := lookupName(string(buf)); known.name != "" {
				e.name, e.kind = known.name, known.kind
				buf, fresh = buf[:0], 0
			}
		}
		if fresh > 0 || e.name == "" {
			e.kind = classifyName(buf)
		}
	}
	octets := value.octets
	if value.huffman || fresh > 0 {
		if buf, ok = d.decoded(buf, value); !ok {
			return false
		}
		octets = buf[fresh:]
	}
	d.scratch = buf

	size := uint64(len(e.name)+fresh+len(octets)) + 32
	enters := indexing && size <= d.table.max
	if indexing && !enters {
		d.table.clear() // RFC 7541 §4.4
	}
	if !enters && !d.fits(size) {
		d.tooLarge()
		return true
	}
	if fresh > 0 {
		s := string(buf)
		e.name, e.value = s[:fresh], s[fresh:]
	} else {
		e.value = string(octets)
	}
	e.judge()
	if enters {
		d.table.add(e)
	}
	d.emit(e, never)
	return true
}
