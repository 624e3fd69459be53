package frame

import (
	"encoding/binary"
	"strconv"
)

// priorityLen is how many octets a PriorityParam has on the wire, and the payload of a PRIORITY
// frame.
const priorityLen = 5

// PriorityParam says how a stream depends on others, in the deprecated scheme of RFC 7540 §5.3.
type PriorityParam struct {
	DependsOn uint32 // stream identifier; 0 is the root
	Exclusive bool   // the other children of DependsOn become children of this stream
	Weight    uint8  // as on the wire: the weight is one more, 1 to 256
}

// Check returns a *StreamError of PROTOCOL_ERROR when p makes stream id depend on itself
// (RFC 7540 §5.3.1). ParsePriority does this check, ParseHeaders does not.
func (p PriorityParam) Check(id uint32) error {
	if p.DependsOn == id {
		return errSelfDependency(id)
	}
	return nil
}

//go:noinline
func errSelfDependency(id uint32) error {
	return NewStreamError(id, ProtocolError, "RFC 7540 §5.3.1", "stream depends on itself")
}

// String describes p, with the weight from 1 to 256.
func (p PriorityParam) String() string {
	s := "depends=" + strconv.FormatUint(uint64(p.DependsOn), 10) + " weight=" + strconv.Itoa(int(p.Weight)+1)
	if p.Exclusive {
		s += " exclusive"
	}
	return s
}

// parsePriorityParam decodes the first priorityLen octets of b, which must have as many.
func parsePriorityParam(b []byte) PriorityParam {
	v := binary.BigEndian.Uint32(b)
	return PriorityParam{DependsOn: v &^ reservedBit, Exclusive: v&reservedBit != 0, Weight: b[4]}
}

func (p PriorityParam) append(b []byte) []byte {
	v := word31("DependsOn", p.DependsOn)
	if p.Exclusive {
		v |= reservedBit
	}
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v), p.Weight)
}

// Priority changes the parent and the weight of a stream in the deprecated dependency tree
// (RFC 9113 §6.3, RFC 7540 §6.3). It may come in any state of the stream, also for streams that
// are idle or closed.
type Priority struct {
	StreamID uint32
	PriorityParam
}

// ParsePriority decodes the payload p that came with header h. A payload of other than 5 octets is
// a *StreamError of FRAME_SIZE_ERROR, a stream that depends on itself a *StreamError of
// PROTOCOL_ERROR, stream 0 a *ConnError.
func ParsePriority(h Header, p []byte) (Priority, error) {
	if h.StreamID == 0 {
		return Priority{}, errNoStream(TypePriority)
	}
	if len(p) != priorityLen {
		return Priority{}, errPrioritySize(h.StreamID)
	}
	f := Priority{StreamID: h.StreamID, PriorityParam: parsePriorityParam(p)}
	return f, f.Check(h.StreamID)
}

//go:noinline
func errPrioritySize(id uint32) error {
	return NewStreamError(id, FrameSizeError, section(TypePriority), "PRIORITY payload is not 5 octets")
}

// Append appends the wire form of f to b and returns the longer slice.
func (f Priority) Append(b []byte) []byte {
	return f.append(f.FrameHeader().Append(b))
}

// FrameHeader returns the header with which Append writes f.
func (f Priority) FrameHeader() Header {
	return Header{Length: priorityLen, Type: TypePriority, StreamID: f.StreamID}
}

// String describes f in one line.
func (f Priority) String() string { return f.FrameHeader().String() + " " + f.PriorityParam.String() }
