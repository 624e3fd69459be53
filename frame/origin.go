package frame

import (
	"bytes"
	"encoding/binary"
	"iter"
	"slices"
	"strconv"
)

// originReservedFlags are the flags that RFC 8336 §2.1 reserves for changes that are not backward
// compatible.
const originReservedFlags Flags = 0xf

// Origin lists the origins whose requests the server wants to receive on this connection
// (RFC 8336 §2). A server ignores it, and so does a client without TLS or behind a proxy. The zero
// value has no origins.
type Origin struct {
	payload []byte // complete entries of Origin-Len and ASCII-Origin
}

// NewOrigin returns an ORIGIN frame with the given origins. It panics if one has more than 65535
// octets. AppendOrigin writes a frame without making it first.
func NewOrigin(origins ...string) Origin { return Origin{payload: appendOrigins(nil, origins)} }

// ParseOrigin decodes the payload p that came with header h. The result is a view into p. A frame
// on a stream other than 0, or with one of the four lowest flags, gives ErrIgnore; a frame whose
// last entry is cut short is a *ConnError.
func ParseOrigin(h Header, p []byte) (Origin, error) {
	if h.StreamID != 0 || h.Flags&originReservedFlags != 0 {
		return Origin{}, ErrIgnore
	}
	for rest := p; len(rest) > 0; {
		if len(rest) < 2 {
			return Origin{}, errSize(TypeOrigin, "has no room for Origin-Len")
		}
		n := 2 + int(binary.BigEndian.Uint16(rest))
		if n > len(rest) {
			return Origin{}, errSize(TypeOrigin, "is shorter than its Origin-Len")
		}
		rest = rest[n:]
	}
	return Origin{payload: p}, nil
}

// All iterates over the origins in order. Each is a view, meant to be the ASCII serialization of an
// origin (RFC 6454 §6.2); one that is not is to be ignored (RFC 8336 §2.1).
func (f Origin) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := f.payload; len(rest) > 0; {
			n := 2 + int(binary.BigEndian.Uint16(rest))
			if !yield(rest[2:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// Equal reports whether f and g are the same on the wire.
func (f Origin) Equal(g Origin) bool { return bytes.Equal(f.payload, g.payload) }

// Append appends the wire form of f to b and returns the longer slice.
func (f Origin) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	return append(h.Append(b), f.payload...)
}

// FrameHeader returns the header with which Append writes f.
func (f Origin) FrameHeader() Header {
	return Header{Length: lengthOf(len(f.payload)), Type: TypeOrigin}
}

// String describes f in one line.
func (f Origin) String() string {
	s := []byte(f.FrameHeader().String()) // grows by append: a peer may send thousands of entries
	for o := range f.All() {
		s = strconv.AppendQuoteToASCII(append(s, ' '), string(o))
	}
	return string(s)
}

// AppendOrigin appends an ORIGIN frame with the given origins to b and returns the longer slice. It
// panics if an origin has more than 65535 octets.
func AppendOrigin(b []byte, origins ...string) []byte {
	n := 2 * len(origins)
	for _, o := range origins {
		n += len(o)
	}
	b = slices.Grow(b, HeaderLen+n)
	return appendOrigins(Header{Length: lengthOf(n), Type: TypeOrigin}.Append(b), origins)
}

func appendOrigins(b []byte, origins []string) []byte {
	for _, o := range origins {
		b = append(appendLen16(b, len(o)), o...)
	}
	return b
}
