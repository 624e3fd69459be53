package frame

import "strconv"

// AppendSplit appends f to b as Append does, but where the payload is longer than maxSize octets,
// the peer's SETTINGS_MAX_FRAME_SIZE, it goes on in CONTINUATION frames (RFC 9113 §4.3, §6.10).
// The last of the frames has END_HEADERS if f has it. It panics where maxSize is too small for the
// padding, the priority and one octet of the fragment.
func (f Headers) AppendSplit(b []byte, maxSize uint32) []byte {
	rest, end := f.Fragment, f.EndHeaders
	n := firstPiece(f.payloadLen(), len(rest), maxSize)
	f.Fragment, f.EndHeaders = rest[:n], end && n == len(rest)
	return appendContinuations(f.Append(b), f.StreamID, rest[n:], end, maxSize)
}

// AppendSplit appends f to b as Append does, but where the payload is longer than maxSize octets,
// the peer's SETTINGS_MAX_FRAME_SIZE, it goes on in CONTINUATION frames (RFC 9113 §4.3, §6.10).
// The last of the frames has END_HEADERS if f has it. It panics where maxSize is too small for the
// padding, the promised identifier and one octet of the fragment.
func (f PushPromise) AppendSplit(b []byte, maxSize uint32) []byte {
	rest, end := f.Fragment, f.EndHeaders
	n := firstPiece(f.payloadLen(), len(rest), maxSize)
	f.Fragment, f.EndHeaders = rest[:n], end && n == len(rest)
	return appendContinuations(f.Append(b), f.StreamID, rest[n:], end, maxSize)
}

// firstPiece returns how many octets of a fragment go into the first frame. payload is how many
// octets that frame's payload would have with the complete fragment.
func firstPiece(payload, fragment int, maxSize uint32) int {
	room := int64(maxSize) - int64(payload-fragment)
	if room < 1 {
		panicNoRoom(maxSize)
	}
	return int(min(room, int64(fragment)))
}

//go:noinline
func panicNoRoom(maxSize uint32) {
	panic("BUG: frame: " + strconv.FormatUint(uint64(maxSize), 10) + " octets have no room for a piece of a header block")
}

// appendContinuations appends rest, the remainder of a header block, in CONTINUATION frames.
func appendContinuations(b []byte, id uint32, rest []byte, end bool, maxSize uint32) []byte {
	for len(rest) > 0 {
		n := int(min(int64(len(rest)), int64(maxSize)))
		f := Continuation{StreamID: id, EndHeaders: end && n == len(rest), Fragment: rest[:n]}
		b, rest = f.Append(b), rest[n:]
	}
	return b
}
