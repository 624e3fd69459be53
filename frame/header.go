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

// ParseHeader decodes the first HeaderLen octets of b, which must have as many, and drops the
// reserved bit.
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
	checkHeader(int(h.Length), h.StreamID)
	lt, id := h.Length<<8|uint32(h.Type), h.StreamID // one word, which the compiler stores at once
	return append(b,
		byte(lt>>24), byte(lt>>16), byte(lt>>8), byte(lt),
		byte(h.Flags),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

// Put writes h over the first HeaderLen octets of b, which must have as many. A caller that appends
// a payload whose length it does not know yet appends a header first, and puts the right one when
// the payload is complete.
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

// Split takes the first frame from b. It returns the frame's header, its payload as a view into b,
// and n, the octets of header and payload together. When b holds less than one frame, n is 0 and
// err is nil: call again with more octets. h is set when b holds at least the header, so that
// h.Length says how many octets are missing.
//
// A payload longer than maxSize octets, which is our SETTINGS_MAX_FRAME_SIZE, is a *ConnError of
// FRAME_SIZE_ERROR (RFC 9113 §4.2), found as soon as b holds the header. h is set then, too.
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

// errTooLong makes the error for a frame that is too long. A peer that answers in HTTP/1 is a
// common cause and hard to see: "HTTP" read as a frame header is a frame of 4,740,180 octets and
// type 'P', so the reason says that.
//
//go:noinline
func errTooLong(h Header) error {
	reason := "frame is longer than SETTINGS_MAX_FRAME_SIZE"
	if h.Length == 'H'<<16|'T'<<8|'T' && h.Type == 'P' {
		reason += ": it looks like an HTTP/1 response"
	}
	return NewConnError(FrameSizeError, "RFC 9113 §4.2", reason)
}

// word31 returns v. It panics where v does not fit into the 31 bits that follow the reserved bit of
// the field.
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

// lengthOf returns n as the Length of a header. An n that does not fit becomes a length at which
// Append panics, and not a wrong one that it would write.
func lengthOf(n int) uint32 { return uint32(min(uint64(n), math.MaxUint32)) }

// checkHeader panics on a header that has no wire form, which only a fault in the calling program
// can make.
func checkHeader(length int, id uint32) {
	if uint(length) > MaxMaxFrameSize || id > MaxStreamID {
		panicHeader(length, id)
	}
}

//go:noinline
func panicHeader(length int, id uint32) {
	panic("BUG: frame: no wire form for a frame of " + strconv.Itoa(length) + " octets on stream " +
		strconv.FormatUint(uint64(id), 10))
}
