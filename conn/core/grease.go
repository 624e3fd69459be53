package core

import (
	"encoding/binary"

	"github.com/sluice-go/sluice/frame"
)

// Greasing sends what has no meaning, so that peers which do not ignore what they do not know (RFC
// 9113 §5.5) are found before an extension needs them to. The identifiers are those that
// draft-bishop-httpbis-grease keeps free for this: settings 0x?a?a, frame types 0x0b + 0x1f*N.

// greaseSetting returns a setting of no meaning.
func greaseSetting(seed uint64) frame.Setting {
	n := uint16(seed) & 0xf0f0
	return frame.Setting{ID: frame.SettingID(n | 0x0a0a), Value: uint32(seed >> 32)}
}

// appendGrease appends a frame of no meaning, on the connection.
func (c *Conn) appendGrease(seed uint64) {
	var payload [8]byte
	binary.BigEndian.PutUint64(payload[:], seed)
	c.out = frame.Unknown{
		Header:  frame.Header{Type: frame.Type(0x0b + 0x1f*(seed>>8&7)), Flags: frame.Flags(seed >> 16)},
		Payload: payload[:seed>>24&7],
	}.Append(c.out)
	c.counts.FramesOut++
}
