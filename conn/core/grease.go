package core

import (
	"encoding/binary"

	"github.com/sluice-go/sluice/frame"
)

// Greasing sends a setting and frames that have no meaning, so that peers which do not ignore
// unknown ones (RFC 9113 §5.5) are found before an extension needs it. The identifiers are those
// that draft-bishop-httpbis-grease reserves for this: settings 0x?a?a, frame types 0x0b + 0x1f*N.

// greaseSetting returns a setting without a meaning.
func greaseSetting(seed uint64) frame.Setting {
	n := uint16(seed) & 0xf0f0
	return frame.Setting{ID: frame.SettingID(n | 0x0a0a), Value: uint32(seed >> 32)}
}

// appendGrease appends a frame without a meaning, on stream 0.
func (c *Conn) appendGrease(seed uint64) {
	var payload [8]byte
	binary.BigEndian.PutUint64(payload[:], seed)
	c.out = frame.Unknown{
		Header:  frame.Header{Type: frame.Type(0x0b + 0x1f*(seed>>8&7)), Flags: frame.Flags(seed >> 16)},
		Payload: payload[:seed>>24&7],
	}.Append(c.out)
	c.counts.FramesOut++
}
