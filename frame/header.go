package frame

import (
	"encoding/binary"
	"math"
	"strconv"
)

// A Header is the 9 octets in front of every frame (RFC 9113 §4.1).
type Header struct {
	Length   uint32 // octets of payload, 0 to 2^24-1
	Type     Type
	Flags    Flags
	StreamID uint32 // 0 is the connection
}

// ParseHeader decodes the first HeaderLen octets of b, which must have as many, and drops the reserved bit.
func ParseHeader(b []byte) Header {
	_ = b[HeaderLen-1]
	lt := binary.BigEndian.Uint32(b)
	return Header{
		Length:   lt >> 8,
		Type:     Type(lt),
		Flags:    Flags(b[4]),
		StreamID: binary.BigEndian.Uint32(b[5:]) &^ reservedBit,
	}
}

// Append appends the HeaderLen octets of h to b and returns the longer slice.
func (h Header) Append(b []byte) []byte {
	return appendHeader(b, int(h.Length), h.Type, h.Flags, h.StreamID)
}

// Put writes h to the first HeaderLen octets of b, which must have as many. It is for callers that leave room for a
// header, append a payload of unknown length, and then know it.
func (h Header) Put(b []byte) {
	checkHeader(int(h.Length), h.StreamID)
	_ = b[HeaderLen-1]
	binary.BigEndian.PutUint32(b, h.Length<<8|uint32(h.Type))
	b[4] = byte(h.Flags)
	binary.BigEndian.PutUint32(b[5:], h.StreamID)
}

// String describes h in one line, for example "DATA stream=1 flags=END_STREAM len=5".
func (h Header) String() string {
	s := h.Type.String() + " stream=" + strconv.FormatUint(uint64(h.StreamID), 10)
	if h.Flags != 0 {
		s += " flags=" + FlagString(h.Type, h.Flags)
	}
	return s + " len=" + strconv.FormatUint(uint64(h.Length), 10)
}

// Split cuts the first frame off b. It returns the frame's header, its payload as a view into b, and n, the octets that
// the whole frame takes. When b holds less than one frame, n is 0 and err is nil: call again with more octets; h is set
// when b holds at least the header, so that h.Length says how many are missing.
//
// A payload longer than maxSize octets, which is our SETTINGS_MAX_FRAME_SIZE, is a *ConnError of FRAME_SIZE_ERROR
// (RFC 9113 §4.2), found as soon as the header is there. h is set then too.
func Split(b []byte, maxSize uint32) (h Header, payload []byte, n int, err error) {
	if len(b) < HeaderLen {
		return Header{}, nil, 0, nil
	}
	h = ParseHeader(b)
	if h.Length > maxSize {
		return h, nil, 0, errTooLong(h)
	}
	end := HeaderLen + int(h.Length)
	if len(b) < end {
		return h, nil, 0, nil
	}
	return h, b[HeaderLen:end:end], end, nil
}

// errTooLong also names a mistake that is common and hard to see: "HTTP" read as a frame header is a frame of 4,740,180
// octets and type 'P', so the peer answered in HTTP/1.
//
//go:noinline
func errTooLong(h Header) error {
	reason := "frame is longer than SETTINGS_MAX_FRAME_SIZE"
	if h.Length == 'H'<<16|'T'<<8|'T' && h.Type == 'P' {
		reason += ": it looks like an HTTP/1 response"
	}
	return NewConnError(FrameSizeError, "RFC 9113 §4.2", reason)
}

// appendHeader appends a frame header. The length and the type are one 32-bit word, which the compiler stores at once.
func appendHeader(b []byte, length int, t Type, f Flags, id uint32) []byte {
	checkHeader(length, id)
	lt := uint32(length)<<8 | uint32(t)
	return append(b,
		byte(lt>>24), byte(lt>>16), byte(lt>>8), byte(lt),
		byte(f),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// word31 is v, which panics where v does not fit the 31 bits that field has behind a reserved bit.
func word31(field string, v uint32) uint32 {
	if v&reservedBit != 0 {
		panicWord31(field, v)
	}
	return v
}

//go:noinline
func panicWord31(field string, v uint32) {
	panic("BUG: frame: " + field + " of " + strconv.FormatUint(uint64(v), 10) + " does not fit 31 bits")
}

// lengthOf makes a length field of n octets. What does not fit becomes a length that Append refuses, instead of another one
// that it would not.
func lengthOf(n int) uint32 { return uint32(min(uint64(n), math.MaxUint32)) }

// checkHeader panics on a header that has no wire form. Only a fault in the calling program leads there.
func checkHeader(length int, id uint32) {
	if uint(length) > MaxMaxSize || id > MaxStreamID {
		panicHeader(length, id)
	}
}

//go:noinline
func panicHeader(length int, id uint32) {
	panic("BUG: frame: no wire form for a frame of " + strconv.Itoa(length) + " octets on stream " +
		strconv.FormatUint(uint64(id), 10))
}
