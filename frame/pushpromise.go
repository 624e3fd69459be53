package frame

import (
	"encoding/binary"
	"slices"
	"strconv"
)

const promisedLen = 4 // octets of the Promised Stream ID field

// PushPromise announces a stream that the server will open (RFC 9113 §6.6).
type PushPromise struct {
	StreamID   uint32 // the stream of the request that the promise belongs to
	PromisedID uint32 // the stream that the promise reserves
	EndHeaders bool   // no CONTINUATION follows
	Padded     bool
	PadLength  uint8  // octets of padding, when Padded
	Fragment   []byte // of the field block
}

// ParsePushPromise decodes the payload p that came with header h. Fragment is a view into p. Every
// error is a *ConnError.
func ParsePushPromise(h Header, p []byte) (PushPromise, error) {
	if h.StreamID == 0 {
		return PushPromise{}, errNoStream(TypePushPromise)
	}
	f := PushPromise{StreamID: h.StreamID, EndHeaders: h.Flags.Has(FlagEndHeaders)}
	if h.Flags.Has(FlagPadded) {
		var err error
		f.Padded = true
		if p, f.PadLength, err = unpad(TypePushPromise, p, promisedLen); err != nil {
			return PushPromise{}, err
		}
	}
	if len(p) < promisedLen {
		return PushPromise{}, errSize(TypePushPromise, "is too short for its fields")
	}
	f.PromisedID = binary.BigEndian.Uint32(p) &^ reservedBit
	if f.PromisedID == 0 { // the promised stream must be idle, and stream 0 never is
		return PushPromise{}, errPromisedZero()
	}
	f.Fragment = p[promisedLen:]
	return f, nil
}

//go:noinline
func errPromisedZero() error {
	return NewConnError(ProtocolError, section(TypePushPromise), "PUSH_PROMISE promises stream 0")
}

// Append appends the wire form of f to b and returns the longer slice.
func (f PushPromise) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	b = h.Append(b)
	if f.Padded {
		b = append(b, f.PadLength)
	}
	b = binary.BigEndian.AppendUint32(b, word31("PromisedID", f.PromisedID))
	b = append(b, f.Fragment...)
	if f.Padded {
		b = appendPadding(b, f.PadLength)
	}
	return b
}

// FrameHeader returns the header with which Append writes f.
func (f PushPromise) FrameHeader() Header {
	return Header{
		Length:   lengthOf(f.payloadLen()),
		Type:     TypePushPromise,
		Flags:    flagsIf(f.EndHeaders, FlagEndHeaders) | flagsIf(f.Padded, FlagPadded),
		StreamID: f.StreamID,
	}
}

func (f *PushPromise) payloadLen() int {
	n := promisedLen + len(f.Fragment)
	if f.Padded {
		n += 1 + int(f.PadLength)
	}
	return n
}

// String describes f in one line.
func (f PushPromise) String() string {
	return f.FrameHeader().String() + " promised=" + strconv.FormatUint(uint64(f.PromisedID), 10) +
		padString(f.Padded, f.PadLength)
}
