package frame

import "slices"

// Headers opens a stream, or ends one with trailers, and carries the first fragment of a field
// block (RFC 9113 §6.2).
type Headers struct {
	StreamID    uint32
	EndStream   bool
	EndHeaders  bool // no CONTINUATION follows
	Padded      bool
	HasPriority bool
	PadLength   uint8         // octets of padding, when Padded
	Priority    PriorityParam // when HasPriority
	Fragment    []byte        // of the field block
}

// ParseHeaders decodes the payload p that came with header h. Fragment is a view into p. Every
// error is a *ConnError.
//
// A priority that makes the stream depend on itself is not an error here but in
// PriorityParam.Check, because the field block of such a frame has to be decoded before the stream
// may be reset (RFC 9113 §4.3).
func ParseHeaders(h Header, p []byte) (f Headers, err error) {
	err = f.parse(h.StreamID, h.Flags, p) // through a pointer: see Data.parse
	return f, err
}

func (f *Headers) parse(id uint32, flags Flags, p []byte) error {
	if id == 0 {
		return errNoStream(TypeHeaders)
	}
	f.StreamID = id
	f.EndStream = flags.Has(FlagEndStream)
	f.EndHeaders = flags.Has(FlagEndHeaders)
	f.Fragment = p
	if flags&(FlagPadded|FlagPriority) != 0 {
		return f.parseOptional(flags)
	}
	return nil
}

// parseOptional parses the optional fields at the start of Fragment, and removes them and the
// padding from it.
func (f *Headers) parseOptional(flags Flags) (err error) {
	p, fixed := f.Fragment, 0
	if flags.Has(FlagPriority) {
		f.HasPriority, fixed = true, priorityLen
	}
	if flags.Has(FlagPadded) {
		f.Padded = true
		if p, f.PadLength, err = unpad(TypeHeaders, p, fixed); err != nil {
			*f = Headers{}
			return err
		}
	}
	if f.HasPriority {
		if len(p) < priorityLen {
			*f = Headers{}
			return errSize(TypeHeaders, "is too short for its fields")
		}
		f.Priority, p = parsePriorityParam(p), p[priorityLen:]
	}
	f.Fragment = p
	return nil
}

// Append appends the wire form of f to b and returns the longer slice.
func (f Headers) Append(b []byte) []byte {
	h := f.FrameHeader()
	b = slices.Grow(b, HeaderLen+int(h.Length))
	b = h.Append(b)
	if !f.Padded && !f.HasPriority {
		return append(b, f.Fragment...)
	}
	if f.Padded {
		b = append(b, f.PadLength)
	}
	if f.HasPriority {
		b = f.Priority.append(b)
	}
	b = append(b, f.Fragment...)
	if f.Padded {
		b = appendPadding(b, f.PadLength)
	}
	return b
}

// FrameHeader returns the header with which Append writes f.
func (f Headers) FrameHeader() Header {
	return Header{Length: lengthOf(f.payloadLen()), Type: TypeHeaders, Flags: f.flags(), StreamID: f.StreamID}
}

func (f *Headers) payloadLen() int {
	n := len(f.Fragment)
	if f.Padded {
		n += 1 + int(f.PadLength)
	}
	if f.HasPriority {
		n += priorityLen
	}
	return n
}

func (f *Headers) flags() Flags {
	return flagsIf(f.EndStream, FlagEndStream) | flagsIf(f.EndHeaders, FlagEndHeaders) |
		flagsIf(f.Padded, FlagPadded) | flagsIf(f.HasPriority, FlagPriority)
}

// String describes f in one line.
func (f Headers) String() string {
	s := f.FrameHeader().String() + padString(f.Padded, f.PadLength)
	if f.HasPriority {
		s += " " + f.Priority.String()
	}
	return s
}
