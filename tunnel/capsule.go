package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Limits of capsules (RFC 9297 §3.2), in octets.
const (
	// maxUDPPayload is the longest payload of a UDP packet (RFC 9298 §5).
	maxUDPPayload = 65527
	// maxCapsuleHeader is the longest type, length and context ID before a payload.
	maxCapsuleHeader = 3 * maxVarint
	// maxSkippedCapsule is the longest capsule of a kind that is not known which is passed over.
	maxSkippedCapsule = 16 << 20
	// minCapsuleBuffer is the room for what one read brings.
	minCapsuleBuffer = 4 << 10
)

// capsuleDatagram is the type of a DATAGRAM capsule (RFC 9297 §3.5).
const capsuleDatagram = 0

// Errors of capsules, all of which end the stream that carries them (RFC 9297 §3.3).
var (
	errCapsuleShort    = errors.New("tunnel: a DATAGRAM capsule ends within its context ID")
	errCapsuleCut      = errors.New("tunnel: the stream ends within a capsule")
	errCapsuleLong     = errors.New("tunnel: a capsule of an unknown kind is too long")
	errDatagramTooLong = errors.New("tunnel: a datagram is longer than 65527 octets")
)

// isMalformed reports whether an error is one of the other side's capsules.
func isMalformed(err error) bool {
	return errors.Is(err, errCapsuleShort) || errors.Is(err, errCapsuleCut) ||
		errors.Is(err, errCapsuleLong) || errors.Is(err, errDatagramTooLong)
}

// A capsuleReader finds the UDP payloads in a stream of capsules (RFC 9297 §3.2, RFC 9298 §5).
// After an error of the reader below that is not the end, such as a timeout, it goes on where it
// was.
type capsuleReader struct {
	r    io.Reader
	buf  []byte // what was read and is not used: buf[off:]
	off  int
	skip uint64 // octets of the present capsule that have no use and were not read
	err  error  // of the capsules, or the end of the stream; final
}

// next returns the payload of the next datagram with context ID 0, which is valid until the next
// call. Capsules of other types, and datagrams with other context IDs, are passed over. The error
// is io.EOF after the last capsule, one for which isMalformed holds, or the reader's.
func (c *capsuleReader) next() ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	for {
		if err := c.pass(); err != nil {
			return nil, c.fail(err)
		}
		payload, found, err := c.capsule()
		if err != nil {
			return nil, c.fail(err)
		}
		if found {
			return payload, nil
		}
	}
}

// fail returns an error, and keeps it where it is final.
func (c *capsuleReader) fail(err error) error {
	if isMalformed(err) || errors.Is(err, io.EOF) {
		c.err = err
	}
	return err
}

// capsule reads one capsule. Nothing of it is used up before an error. What has no use is left to
// pass.
func (c *capsuleReader) capsule() (payload []byte, found bool, err error) {
	typ, at, err := c.varint(0)
	if err != nil {
		return nil, false, err
	}
	length, at, err := c.varint(at)
	if err != nil {
		return nil, false, err
	}
	body := at // offset of the capsule's value
	if typ == capsuleDatagram {
		if length == 0 {
			return nil, false, errCapsuleShort
		}
		if err := c.fill(body + 1); err != nil {
			return nil, false, err
		}
		if n := varintLen(c.buf[c.off+body]); uint64(n) > length {
			return nil, false, errCapsuleShort
		}
		id, at, err := c.varint(body)
		switch {
		case err != nil:
			return nil, false, err
		case id == 0:
			return c.datagram(at, length-uint64(at-body))
		}
	}
	if length > maxSkippedCapsule {
		return nil, false, fmt.Errorf("%w: type %d, %d octets", errCapsuleLong, typ, length)
	}
	c.off += body
	c.skip = length
	return nil, false, nil
}

// datagram returns the n octets at an offset, and uses up what is before and the octets themselves.
func (c *capsuleReader) datagram(at int, n uint64) ([]byte, bool, error) {
	if n > maxUDPPayload {
		return nil, false, fmt.Errorf("%w: it has %d", errDatagramTooLong, n)
	}
	if err := c.fill(at + int(n)); err != nil {
		return nil, false, err
	}
	payload := c.buf[c.off+at : c.off+at+int(n)]
	c.off += at + int(n)
	return payload, true, nil
}

// pass reads what is to be passed over.
func (c *capsuleReader) pass() error {
	for c.skip > 0 {
		if c.off == len(c.buf) {
			if err := c.fill(1); err != nil {
				return err
			}
		}
		n := min(uint64(len(c.buf)-c.off), c.skip)
		c.off += int(n)
		c.skip -= n
	}
	return nil
}

// varint reads a variable-length integer at an offset and returns the offset behind it.
func (c *capsuleReader) varint(at int) (uint64, int, error) {
	if err := c.fill(at + 1); err != nil {
		return 0, 0, err
	}
	n := varintLen(c.buf[c.off+at])
	if err := c.fill(at + n); err != nil {
		return 0, 0, err
	}
	return readVarint(c.buf[c.off+at:][:n]), at + n, nil
}

// fill reads until there are n octets that are not used. The end of the stream is io.EOF where
// there are none and nothing is to be passed over, else errCapsuleCut.
func (c *capsuleReader) fill(n int) error {
	for len(c.buf)-c.off < n {
		c.room(n)
		m, err := c.r.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+m]
		switch {
		case m > 0: // an error comes again
		case errors.Is(err, io.EOF) && (c.off < len(c.buf) || c.skip > 0):
			return errCapsuleCut
		case err != nil:
			return err
		}
	}
	return nil
}

// room makes room behind what is not used, for n octets of that in all.
func (c *capsuleReader) room(n int) {
	rest := c.buf[c.off:]
	switch {
	case n > cap(c.buf):
		grown := make([]byte, len(rest), max(n, min(2*cap(c.buf), maxUDPPayload+maxCapsuleHeader), minCapsuleBuffer))
		copy(grown, rest)
		c.buf = grown
	case c.off+n > cap(c.buf) || len(c.buf) == cap(c.buf) || len(rest) == 0:
		c.buf = c.buf[:copy(c.buf[:cap(c.buf)], rest)]
	default:
		return
	}
	c.off = 0
}

// udpCapsuleHeader is the room that putUDPHeader needs before a payload: the type, a length of at
// most 4 octets and the context ID 0.
const udpCapsuleHeader = 1 + 4 + 1

// putUDPHeader makes a DATAGRAM capsule of the payload b[udpCapsuleHeader:], and returns it. It
// lies in b.
func putUDPHeader(b []byte) []byte {
	var h [udpCapsuleHeader]byte
	header := append(appendVarint(append(h[:0], capsuleDatagram), uint64(len(b)-udpCapsuleHeader+1)), 0)
	start := udpCapsuleHeader - len(header)
	copy(b[start:], header)
	return b[start:]
}

// maxVarint is the longest variable-length integer (RFC 9000 §16), in octets.
const maxVarint = 8

// varintLen returns how many octets a variable-length integer has, by its first one.
func varintLen(first byte) int { return 1 << (first >> 6) }

// readVarint returns the value of a variable-length integer, of which b is all.
func readVarint(b []byte) uint64 {
	v := uint64(b[0] & 0x3f)
	for _, o := range b[1:] {
		v = v<<8 | uint64(o)
	}
	return v
}

// appendVarint appends a variable-length integer below 1<<62 in its shortest form.
func appendVarint(b []byte, v uint64) []byte {
	switch {
	case v < 1<<6:
		return append(b, byte(v))
	case v < 1<<14:
		return binary.BigEndian.AppendUint16(b, uint16(v)|1<<14)
	case v < 1<<30:
		return binary.BigEndian.AppendUint32(b, uint32(v)|2<<30)
	}
	return binary.BigEndian.AppendUint64(b, v|3<<62)
}
