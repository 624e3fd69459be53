package header

// lastBlock is the block before. A client that sends the same request over and over sends, once the
// table has all of its fields, the same octets over and over; and octets that do not change the
// table mean the same again if nothing but they has come meanwhile. Taking the message from here
// costs a fifth of decoding it.
type lastBlock struct {
	octets []byte   // none if it was a long one
	msg    *Message // what it means; nil until it has come twice, and if it is not worth keeping
}

const (
	lastOctets = 256 // of a block that is remembered
	lastFields = 32
	lastSize   = 4096 // octets of those fields: joined cookies may be long
)

// repeats tells whether the block is the same as the one before, and notes it if not.
func (d *Decoder) repeats() bool {
	l := &d.last
	if len(d.block) > 0 && string(d.block) == string(l.octets) {
		return !d.mustUpdate
	}
	l.octets, l.msg = l.octets[:0], nil
	if len(d.block) <= lastOctets {
		l.octets = append(l.octets, d.block...)
	}
	return false
}

// remember keeps m, which is what the block means.
func (l *lastBlock) remember(m *Message) {
	if m.TooLarge || len(m.Fields) > lastFields || ListSize(m.Fields) > lastSize || changesTable(l.octets) {
		return
	}
	l.msg = new(Message)
	*l.msg = *m
	l.msg.Fields = append([]Field(nil), m.Fields...)
}

// recall makes m the message that is kept.
func (l *lastBlock) recall(m *Message) {
	fields := append(m.storage(), l.msg.Fields...)
	*m = *l.msg
	m.Fields = fields
}

// changesTable tells whether a block, which is well-formed, has representations that change the
// dynamic table: literals that enter it and size updates (RFC 7541 §6).
func changesTable(p []byte) bool {
	for len(p) > 0 {
		first := p[0]
		switch {
		case first&reprIndexed != 0:
			p = skipInteger(p, 7)
		case first&reprIncremental != 0 || first&0x20 != 0:
			return true
		default: // a literal that does not enter the table
			p = skipInteger(p, 4)
			if first&0x0f == 0 {
				p = skipString(p)
			}
			p = skipString(p)
		}
	}
	return false
}

func skipInteger(p []byte, bits uint8) []byte {
	_, n := readInteger(p, bits)
	if n == 0 {
		return nil // cannot be: it is well-formed
	}
	return p[n:]
}

func skipString(p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	size, n := readInteger(p, 7)
	if n == 0 {
		return nil
	}
	return p[min(uint64(len(p)), uint64(n)+size):]
}

// readInteger reads an integer with a prefix of so many bits and returns its length: 0 when it does
// not end, or has more octets than 32 bits need (RFC 7541 §5.1).
func readInteger(p []byte, bits uint8) (v uint64, n int) {
	most := uint64(1)<<bits - 1
	if v = uint64(p[0]) & most; v < most {
		return v, 1
	}
	for i := 1; i < len(p) && i <= 5; i++ {
		v += uint64(p[i]&0x7f) << (7 * (i - 1))
		if p[i]&0x80 == 0 {
			return v, i + 1
		}
	}
	return 0, 0
}
