package frame

import "slices"

// Unknown is a frame of a type that this package does not know, kept as it is. Endpoints ignore it
// (RFC 9113 §4.1, §5.5), except in the middle of a field block, where it is a connection error
// (RFC 9113 §4.3).
type Unknown struct {
	Header  Header // Append takes the length from Payload
	Payload []byte
}

// Append appends the wire form of f to b and returns the longer slice.
func (f Unknown) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	return append(h.Append(b), f.Payload...)
}

// FrameHeader returns the header with which Append writes f.
func (f Unknown) FrameHeader() Header {
	h := f.Header
	h.Length = lengthOf(len(f.Payload))
	return h
}

// String describes f in one line.
func (f Unknown) String() string { return f.FrameHeader().String() }
