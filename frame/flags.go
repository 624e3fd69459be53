package frame

import (
	"strconv"
	"strings"
)

// Flags are the 8 flag bits of a frame header. The meaning of a bit depends on the frame type
// (RFC 9113 §4.1): END_STREAM and ACK are the same bit. A bit without a meaning for the type is
// ignored on receipt and left unset when sending.
type Flags uint8

// The flags of RFC 9113 §6.
const (
	FlagEndStream  Flags = 0x1  // DATA, HEADERS
	FlagAck        Flags = 0x1  // SETTINGS, PING
	FlagEndHeaders Flags = 0x4  // HEADERS, PUSH_PROMISE, CONTINUATION
	FlagPadded     Flags = 0x8  // DATA, HEADERS, PUSH_PROMISE
	FlagPriority   Flags = 0x20 // HEADERS
)

// Has reports whether every bit of mask is set in f.
func (f Flags) Has(mask Flags) bool { return f&mask == mask }

// flagsIf returns f when on is true, else 0. It is small so that the compiler inlines it without a
// branch.
func flagsIf(on bool, f Flags) Flags {
	if on {
		return f
	}
	return 0
}

type flagName struct {
	flag Flags
	name string
}

// flagNames has the flags that each type defines, in the order of their bits. Types that define
// none have no entry.
var flagNames = map[Type][]flagName{
	TypeData: {{FlagEndStream, "END_STREAM"}, {FlagPadded, "PADDED"}},
	TypeHeaders: {
		{FlagEndStream, "END_STREAM"},
		{FlagEndHeaders, "END_HEADERS"},
		{FlagPadded, "PADDED"},
		{FlagPriority, "PRIORITY"},
	},
	TypeSettings:     {{FlagAck, "ACK"}},
	TypePushPromise:  {{FlagEndHeaders, "END_HEADERS"}, {FlagPadded, "PADDED"}},
	TypePing:         {{FlagAck, "ACK"}},
	TypeContinuation: {{FlagEndHeaders, "END_HEADERS"}},
}

// FlagString names the flags in f as frames of type t define them, joined by "|", for example
// "END_STREAM|PADDED". Bits without a meaning for t come last, as one hexadecimal number. No flags
// give the empty string.
func FlagString(t Type, f Flags) string {
	var names []string
	for _, n := range flagNames[t] {
		if f.Has(n.flag) {
			names = append(names, n.name)
			f &^= n.flag
		}
	}
	if f != 0 {
		names = append(names, "0x"+strconv.FormatUint(uint64(f), 16))
	}
	return strings.Join(names, "|")
}
