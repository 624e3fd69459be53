package header

// decodedBlock is a cache of one block, the one before. A client that repeats a request repeats the
// octets of its block once the table has all of its fields; and a block that does not change the
// table means the same again as long as no other block comes in between. To copy the message from
// here costs a fifth of decoding it.
type decodedBlock struct {
	octets []byte   // the block; empty if it was longer than maxCachedBlock
	msg    *Message // the message of octets; nil until the block has come twice, and if it must not be kept
}

const (
	maxCachedBlock       = 256  // octets of a block that is cached
	maxCachedBlockFields = 32   // fields of a message that is cached
	maxCachedMessage     = 4096 // octets of the fields of such a message, whose joined cookies may be long
)

// isCached reports whether a whole block is the same as the one before, whose message is kept.
func (d *Decoder) isCached(block []byte) bool {
	return d.blockCache.msg != nil && len(block) > 0 && string(block) == string(d.blockCache.octets) &&
		!d.updateDue && d.discarding == nil && d.err == nil
}

// cacheBlock keeps the octets of the block that was collected. It reports whether it is the same as
// the one before, and no size update is due, so that its message is worth keeping.
func (d *Decoder) cacheBlock() (again bool) {
	l := &d.blockCache
	if len(d.block) > 0 && string(d.block) == string(l.octets) {
		return !d.updateDue
	}
	l.octets, l.msg = l.octets[:0], nil
	if len(d.block) <= maxCachedBlock {
		l.octets = append(l.octets, d.block...)
	}
	return false
}

// store keeps a copy of m, the message of the block.
func (l *decodedBlock) store(m *Message) {
	if m.TooLarge || len(m.Fields) > maxCachedBlockFields || ListSize(m.Fields) > maxCachedMessage ||
		changesTable(l.octets) {
		return
	}
	l.msg = new(Message)
	*l.msg = *m
	l.msg.Fields = append([]Field(nil), m.Fields...)
}

// changesTable reports whether a block, which must be well-formed, has representations that change
// the dynamic table: literals that enter it, and size updates (RFC 7541 §6).
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
		return nil // the block is not well-formed
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

// readInteger reads an integer whose prefix has the given number of bits, and returns its length in
// octets: 0 when it does not end, or has more octets than 32 bits need (RFC 7541 §5.1).
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
