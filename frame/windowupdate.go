package frame

import (
	"encoding/binary"
	"strconv"
)

// WindowUpdate gives the peer more flow-control credit (RFC 9113 §6.9).
type WindowUpdate struct {
	StreamID  uint32 // 0 means the window of the connection
	Increment uint32 // octets, 1 to 2^31-1
}

// ParseWindowUpdate decodes the payload p that came with header h. An increment of 0 is a
// *StreamError, or on stream 0 a *ConnError, of PROTOCOL_ERROR; every other error is a *ConnError.
func ParseWindowUpdate(h Header, p []byte) (WindowUpdate, error) {
	if len(p) != 4 {
		return WindowUpdate{}, errSize(TypeWindowUpdate, "payload is not 4 octets")
	}
	f := WindowUpdate{StreamID: h.StreamID, Increment: binary.BigEndian.Uint32(p) &^ reservedBit}
	if f.Increment == 0 {
		return f, errZeroIncrement(f.StreamID)
	}
	return f, nil
}

//go:noinline
func errZeroIncrement(id uint32) error {
	const reason = "WINDOW_UPDATE with increment 0"
	if id == 0 {
		return NewConnError(ProtocolError, section(TypeWindowUpdate), reason)
	}
	return NewStreamError(id, ProtocolError, section(TypeWindowUpdate), reason)
}

// Append appends the wire form of f to b and returns the longer slice.
func (f WindowUpdate) Append(b []byte) []byte {
	return appendWord(b, TypeWindowUpdate, f.StreamID, word31("Increment", f.Increment))
}

// FrameHeader returns the header with which Append writes f.
func (f WindowUpdate) FrameHeader() Header {
	return Header{Length: 4, Type: TypeWindowUpdate, StreamID: f.StreamID}
}

// String describes f in one line.
func (f WindowUpdate) String() string {
	return f.FrameHeader().String() + " increment=" + strconv.FormatUint(uint64(f.Increment), 10)
}
