package frame

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// AltSvc advertises an alternative service for an origin (RFC 7838 §4). A server ignores it.
type AltSvc struct {
	StreamID uint32 // a stream of the origin, or 0 where Origin names it
	Origin   []byte // ASCII serialization of the origin on stream 0, else empty; at most 65535 octets
	Value    []byte // as in an Alt-Svc field
}

// ParseAltSvc decodes the payload p that came with header h. Origin and Value are views into p. A
// frame with an origin on a stream, or without one on stream 0, gives ErrIgnore; one that is
// shorter than its own fields is a *ConnError.
func ParseAltSvc(h Header, p []byte) (AltSvc, error) {
	if len(p) < 2 {
		return AltSvc{}, errSize(TypeAltSvc, "has no room for Origin-Len")
	}
	end := 2 + int(binary.BigEndian.Uint16(p))
	if end > len(p) {
		return AltSvc{}, errSize(TypeAltSvc, "is shorter than its Origin-Len")
	}
	f := AltSvc{StreamID: h.StreamID, Origin: p[2:end:end], Value: p[end:]}
	if (f.StreamID == 0) == (len(f.Origin) == 0) {
		return AltSvc{}, ErrIgnore
	}
	return f, nil
}

// Append appends the wire form of f to b and returns the longer slice. It panics if Origin has more
// than 65535 octets.
func (f AltSvc) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	b = h.Append(b)
	b = appendLen16(b, len(f.Origin))
	b = append(b, f.Origin...)
	return append(b, f.Value...)
}

// FrameHeader returns the header with which Append writes f.
func (f AltSvc) FrameHeader() Header {
	return Header{Length: lengthOf(2 + len(f.Origin) + len(f.Value)), Type: TypeAltSvc, StreamID: f.StreamID}
}

// String describes f in one line.
func (f AltSvc) String() string {
	s := f.FrameHeader().String()
	if len(f.Origin) > 0 {
		s += " origin=" + strconv.QuoteToASCII(string(f.Origin))
	}
	return s + " value=" + strconv.QuoteToASCII(string(f.Value))
}

// appendLen16 appends n as the 16-bit length of a field. It panics where n does not fit.
func appendLen16(b []byte, n int) []byte {
	if n > 1<<16-1 {
		panic("BUG: frame: a field of " + strconv.Itoa(n) + " octets does not fit a length of 16 bits")
	}
	return binary.BigEndian.AppendUint16(b, uint16(n))
}
