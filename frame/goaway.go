package frame

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// GoAway ends a connection or announces its end (RFC 9113 §6.8).
type GoAway struct {
	// LastStreamID is the highest stream of the receiver that the sender has processed or might
	// process.
	LastStreamID uint32
	Code         Code
	DebugData    []byte // opaque
}

// ParseGoAway decodes the payload p that came with header h. DebugData is a view into p. Every
// error is a *ConnError.
func ParseGoAway(h Header, p []byte) (GoAway, error) {
	if h.StreamID != 0 {
		return GoAway{}, errOnStream(TypeGoAway)
	}
	if len(p) < 8 {
		return GoAway{}, errSize(TypeGoAway, "payload is less than 8 octets")
	}
	return GoAway{
		LastStreamID: binary.BigEndian.Uint32(p) &^ reservedBit,
		Code:         Code(binary.BigEndian.Uint32(p[4:])),
		DebugData:    p[8:],
	}, nil
}

// Append appends the wire form of f to b and returns the longer slice.
func (f GoAway) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	b = h.Append(b)
	b = binary.BigEndian.AppendUint32(b, word31("LastStreamID", f.LastStreamID))
	b = binary.BigEndian.AppendUint32(b, uint32(f.Code))
	return append(b, f.DebugData...)
}

// FrameHeader returns the header with which Append writes f.
func (f GoAway) FrameHeader() Header {
	return Header{Length: lengthOf(8 + len(f.DebugData)), Type: TypeGoAway}
}

// String describes f in one line.
func (f GoAway) String() string {
	s := f.FrameHeader().String() + " last=" + strconv.FormatUint(uint64(f.LastStreamID), 10) + " code=" + f.Code.String()
	if len(f.DebugData) > 0 {
		s += " debug=" + strconv.QuoteToASCII(string(f.DebugData))
	}
	return s
}
