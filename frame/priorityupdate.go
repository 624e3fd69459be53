package frame

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// PriorityUpdate changes the priority of a response (RFC 9218 §7.1). Only clients send it.
type PriorityUpdate struct {
	PrioritizedID uint32 // the stream whose response it is; it may be idle
	Value         []byte // as in a Priority field
}

// ParsePriorityUpdate decodes the payload p that came with header h. Value is a view into p. Every
// error is a *ConnError. A client must treat the frame as a connection error of PROTOCOL_ERROR,
// which is the caller's to check.
func ParsePriorityUpdate(h Header, p []byte) (PriorityUpdate, error) {
	if h.StreamID != 0 {
		return PriorityUpdate{}, errOnStream(TypePriorityUpdate)
	}
	if len(p) < 4 {
		return PriorityUpdate{}, errSize(TypePriorityUpdate, "payload is less than 4 octets")
	}
	f := PriorityUpdate{PrioritizedID: binary.BigEndian.Uint32(p) &^ reservedBit, Value: p[4:]}
	if f.PrioritizedID == 0 {
		return PriorityUpdate{}, errPrioritizedZero()
	}
	return f, nil
}

//go:noinline
func errPrioritizedZero() error {
	return NewConnError(ProtocolError, section(TypePriorityUpdate), "PRIORITY_UPDATE for stream 0")
}

// Append appends the wire form of f to b and returns the longer slice.
func (f PriorityUpdate) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	b = binary.BigEndian.AppendUint32(h.Append(b), word31("PrioritizedID", f.PrioritizedID))
	return append(b, f.Value...)
}

// FrameHeader returns the header with which Append writes f.
func (f PriorityUpdate) FrameHeader() Header {
	return Header{Length: lengthOf(4 + len(f.Value)), Type: TypePriorityUpdate}
}

// String describes f in one line.
func (f PriorityUpdate) String() string {
	return f.FrameHeader().String() + " prioritized=" + strconv.FormatUint(uint64(f.PrioritizedID), 10) +
		" value=" + strconv.QuoteToASCII(string(f.Value))
}
