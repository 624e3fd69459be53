package frame

import "encoding/hex"

// Ping measures the round-trip time and tests whether the connection works (RFC 9113 §6.7).
type Ping struct {
	Ack  bool // this frame acknowledges a PING
	Data [8]byte
}

// ParsePing decodes the payload p that came with header h. Every error is a *ConnError.
func ParsePing(h Header, p []byte) (Ping, error) {
	if h.StreamID != 0 {
		return Ping{}, errOnStream(TypePing)
	}
	if len(p) != 8 {
		return Ping{}, errSize(TypePing, "payload is not 8 octets")
	}
	return Ping{Ack: h.Flags.Has(FlagAck), Data: [8]byte(p)}, nil
}

// Append appends the wire form of f to b and returns the longer slice.
func (f Ping) Append(b []byte) []byte {
	return append(f.FrameHeader().Append(b), f.Data[:]...)
}

// FrameHeader returns the header with which Append writes f.
func (f Ping) FrameHeader() Header {
	return Header{Length: 8, Type: TypePing, Flags: flagsIf(f.Ack, FlagAck)}
}

// String describes f in one line.
func (f Ping) String() string {
	return f.FrameHeader().String() + " data=" + hex.EncodeToString(f.Data[:])
}
