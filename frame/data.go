package frame

import (
	"slices"
	"strconv"
)

// Data carries octets of a message's content (RFC 9113 §6.1).
type Data struct {
	StreamID  uint32
	EndStream bool
	Padded    bool
	PadLength uint8 // octets of padding, when Padded
	Data      []byte
}

// ParseData decodes the payload p that came with header h. Data is a view into p. Every error is a
// *ConnError.
func ParseData(h Header, p []byte) (f Data, err error) {
	err = f.parse(h.StreamID, h.Flags, p)
	return f, err
}

// parse has a pointer receiver, so that ParseData is small enough to be inlined and f is filled in
// the caller's memory. Returning the struct by value copies it in larger units than those in which
// it was just stored, and the processor waits for the stores: that was a quarter of the time.
func (f *Data) parse(id uint32, flags Flags, p []byte) (err error) {
	if id == 0 {
		return errNoStream(TypeData)
	}
	f.StreamID = id
	f.EndStream = flags.Has(FlagEndStream)
	f.Data = p
	if flags.Has(FlagPadded) {
		f.Padded = true
		if f.Data, f.PadLength, err = unpad(TypeData, p, 0); err != nil {
			*f = Data{}
		}
	}
	return err
}

// FlowLen returns how many octets f takes from the flow-control windows: the payload with Pad
// Length and padding (RFC 9113 §6.1).
func (f Data) FlowLen() int {
	n := len(f.Data)
	if f.Padded {
		n += 1 + int(f.PadLength)
	}
	return n
}

// Append appends the wire form of f to b and returns the longer slice.
func (f Data) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	b = h.Append(b)
	if !f.Padded {
		return append(b, f.Data...)
	}
	b = append(b, f.PadLength)
	b = append(b, f.Data...)
	return appendPadding(b, f.PadLength)
}

// FrameHeader returns the header with which Append writes f.
func (f Data) FrameHeader() Header {
	return Header{
		Length:   lengthOf(f.FlowLen()),
		Type:     TypeData,
		Flags:    flagsIf(f.EndStream, FlagEndStream) | flagsIf(f.Padded, FlagPadded),
		StreamID: f.StreamID,
	}
}

// String describes f in one line.
func (f Data) String() string { return f.FrameHeader().String() + padString(f.Padded, f.PadLength) }

// unpad removes the Pad Length field and the padding from p, the payload of a frame of type t that
// has at least fixed octets between the two (RFC 9113 §6.1, §6.2, §6.6).
func unpad(t Type, p []byte, fixed int) (rest []byte, pad uint8, err error) {
	if len(p) == 0 {
		return nil, 0, errSize(t, "has no room for Pad Length")
	}
	pad = p[0]
	end := len(p) - int(pad)
	switch {
	case end <= 0: // "the length of the frame payload or greater"
		return nil, 0, errPadding(t)
	case len(p) < 1+fixed:
		return nil, 0, errSize(t, "is too short for its fields")
	case end < 1+fixed:
		return nil, 0, errPadding(t)
	}
	return p[1:end:end], pad, nil
}

//go:noinline
func errPadding(t Type) error {
	return NewConnError(ProtocolError, section(t), t.String()+" padding is longer than its payload")
}

var zeros [255]byte

func appendPadding(b []byte, pad uint8) []byte { return append(b, zeros[:pad]...) }

func padString(padded bool, pad uint8) string {
	if !padded {
		return ""
	}
	return " pad=" + strconv.Itoa(int(pad))
}
