package tlsrecord

import (
	"bytes"
	"encoding/binary"
	"sync"
)

// Types of records (RFC 8446 §5.1).
const (
	recChangeCipherSpec = 20
	recAlert            = 21
	recHandshake        = 22
	recData             = 23
	recHeartbeat        = 24
)

const (
	headerSize = 5
	maxPlain   = 1 << 14         // octets of plaintext in a record
	maxBody13  = maxPlain + 256  // octets of a record behind its header (RFC 8446 §5.2)
	maxBody    = maxPlain + 2048 // the same in TLS 1.2 (RFC 5246 §6.2.3)
	maxRecord  = headerSize + maxBody
)

// recordSize returns the octets of the record that begins with a header, or 0 where none does.
func recordSize(header []byte) int {
	n := int(binary.BigEndian.Uint16(header[3:]))
	if header[0] < recChangeCipherSpec || header[0] > recHeartbeat || header[1] != 3 || header[2] > 4 || n > maxBody {
		return 0
	}
	return headerSize + n
}

// maxShort is the octets of records that are short: most of those of requests are.
const maxShort = 2 << 10

// Buffers for records, and for their plaintext. Connections that have nothing of a record yet have
// no buffer.
var (
	buffers = sync.Pool{New: func() any { return new([maxRecord]byte) }}
	shorts  = sync.Pool{New: func() any { return new([maxShort]byte) }}
)

// input is a record of which not all octets have come, or, after a loss, the octets in which a
// record is looked for.
type input struct {
	short *[maxShort]byte  // the buffer that p is at the front of; nil for none
	long  *[maxRecord]byte // the buffer instead of short, for records that do not fit that
	p     []byte
}

// fill takes octets from the front of p, until there are n at most, and returns the rest.
func (b *input) fill(p []byte, n int) []byte {
	n = min(n-len(b.p), len(p))
	if n <= 0 {
		return p
	}
	b.grow(len(b.p) + n)
	b.p = append(b.p, p[:n]...)
	return p[n:]
}

// grow makes room for n octets.
func (b *input) grow(n int) {
	switch {
	case n <= cap(b.p):
	case n <= maxShort:
		b.short = shorts.Get().(*[maxShort]byte)
		b.p = b.short[:0]
	default:
		b.long = buffers.Get().(*[maxRecord]byte)
		b.p = append(b.long[:0], b.p...)
		if b.short != nil {
			shorts.Put(b.short)
			b.short = nil
		}
	}
}

// drop gives up n octets from the front.
func (b *input) drop(n int) {
	if n == 0 {
		return
	}
	b.p = b.p[:copy(b.p, b.p[n:])]
	if len(b.p) == 0 {
		b.clear()
	}
}

// clear gives up all octets.
func (b *input) clear() {
	if b.short != nil {
		shorts.Put(b.short)
	}
	if b.long != nil {
		buffers.Put(b.long)
	}
	*b = input{}
}

// need is the octets that have to be there: those of the header, then those of the record. It is 0
// where what is there is not a record.
func (b *input) need() int {
	if len(b.p) < headerSize {
		return headerSize
	}
	return recordSize(b.p)
}

// whole reports whether a record is complete.
func (b *input) whole() bool {
	return len(b.p) >= headerSize && b.need() != 0 && len(b.p) >= b.need()
}

// findEncrypted returns where in p a record that is encrypted may begin, or where p has too little
// to say. Where there is none, that is len(p).
func findEncrypted(p []byte, version uint16) int {
	for at := 0; at < len(p); at++ {
		i := bytes.IndexByte(p[at:], 3)
		switch {
		case i < 0 && mayEncrypt(p[len(p)-1], version):
			return len(p) - 1
		case i < 0:
			return len(p)
		}
		at += i
		if at > 0 && plausible(p[at-1:], version) {
			return at - 1
		}
	}
	return len(p)
}

// mayEncrypt reports whether records of the type are encrypted. In TLS 1.3 they are all recData.
func mayEncrypt(typ byte, version uint16) bool {
	return typ == recData || version == version12 && (typ == recHandshake || typ == recAlert)
}

// plausible reports whether p begins with the header of an encrypted record, as far as it goes.
func plausible(p []byte, version uint16) bool {
	if !mayEncrypt(p[0], version) || p[1] != 3 || len(p) > 2 && p[2] != 3 {
		return false
	}
	if len(p) < headerSize {
		return true
	}
	n := int(binary.BigEndian.Uint16(p[3:]))
	if version == version12 {
		return n > 16 && n <= maxBody
	}
	return n > 16 && n <= maxBody13
}
