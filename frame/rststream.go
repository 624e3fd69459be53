package frame

import "encoding/binary"

// RSTStream ends a stream at once (RFC 9113 §6.4).
type RSTStream struct {
	StreamID uint32
	Code     Code
}

// ParseRSTStream decodes the payload p that came with header h. Every error is a *ConnError.
func ParseRSTStream(h Header, p []byte) (RSTStream, error) {
	if h.StreamID == 0 {
		return RSTStream{}, errNoStream(TypeRSTStream)
	}
	if len(p) != 4 {
		return RSTStream{}, errSize(TypeRSTStream, "payload is not 4 octets")
	}
	return RSTStream{StreamID: h.StreamID, Code: Code(binary.BigEndian.Uint32(p))}, nil
}

// Append appends the wire form of f to b and returns the longer slice.
func (f RSTStream) Append(b []byte) []byte {
	return appendWord(b, TypeRSTStream, f.StreamID, uint32(f.Code))
}

// FrameHeader returns the header with which Append writes f.
func (f RSTStream) FrameHeader() Header {
	return Header{Length: 4, Type: TypeRSTStream, StreamID: f.StreamID}
}

// String describes f in one line.
func (f RSTStream) String() string { return f.FrameHeader().String() + " code=" + f.Code.String() }

// appendWord appends a frame whose payload is one 32-bit number, in one go.
func appendWord(b []byte, t Type, id, v uint32) []byte {
	checkHeader(4, id)
	return append(b,
		0, 0, 4, byte(t), 0,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id),
		byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}
