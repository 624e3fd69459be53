package frame

import "slices"

// Continuation carries a further fragment of the field block that HEADERS or PUSH_PROMISE began
// (RFC 9113 §6.10).
type Continuation struct {
	StreamID   uint32
	EndHeaders bool // this is the last fragment
	Fragment   []byte
}

// ParseContinuation decodes the payload p that came with header h. Fragment is p. Every error is a
// *ConnError.
func ParseContinuation(h Header, p []byte) (Continuation, error) {
	if h.StreamID == 0 {
		return Continuation{}, errNoStream(TypeContinuation)
	}
	return Continuation{StreamID: h.StreamID, EndHeaders: h.Flags.Has(FlagEndHeaders), Fragment: p}, nil
}

// Append appends the wire form of f to b and returns the longer slice.
func (f Continuation) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	return append(h.Append(b), f.Fragment...)
}

// FrameHeader returns the header with which Append writes f.
func (f Continuation) FrameHeader() Header {
	return Header{
		Length:   lengthOf(len(f.Fragment)),
		Type:     TypeContinuation,
		Flags:    flagsIf(f.EndHeaders, FlagEndHeaders),
		StreamID: f.StreamID,
	}
}

// String describes f in one line.
func (f Continuation) String() string { return f.FrameHeader().String() }
