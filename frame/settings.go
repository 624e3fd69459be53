package frame

import (
	"bytes"
	"encoding/binary"
	"iter"
)

const settingLen = 6 // octets of a Setting on the wire

// Settings carries parameters of the sending endpoint, or acknowledges those of its peer
// (RFC 9113 §6.5). The zero value is a SETTINGS frame without settings.
type Settings struct {
	Ack     bool
	payload []byte
}

// NewSettings returns a SETTINGS frame with s in this order. AppendSettings writes one without
// making it first.
func NewSettings(s ...Setting) Settings {
	return Settings{payload: appendEach(make([]byte, 0, settingLen*len(s)), s)}
}

// ParseSettings decodes the payload p that came with header h. The result is a view into p. Every
// error is a *ConnError. Values are not checked; see Setting.Check.
func ParseSettings(h Header, p []byte) (Settings, error) {
	if h.StreamID != 0 {
		return Settings{}, errOnStream(TypeSettings)
	}
	f := Settings{Ack: h.Flags.Has(FlagAck), payload: p}
	if f.Ack && len(p) != 0 {
		return Settings{}, errSize(TypeSettings, "with ACK has a payload")
	}
	if len(p)%settingLen != 0 {
		return Settings{}, errSize(TypeSettings, "payload is not a multiple of 6 octets")
	}
	return f, nil
}

// Len returns the number of settings.
func (f Settings) Len() int { return len(f.payload) / settingLen }

// At returns setting i, 0 to Len()-1. Settings are to be processed in order (RFC 9113 §6.5.3).
func (f Settings) At(i int) Setting {
	p := f.payload[settingLen*i:][:settingLen]
	return Setting{ID: SettingID(binary.BigEndian.Uint16(p)), Value: binary.BigEndian.Uint32(p[2:])}
}

// All iterates over the settings in order.
func (f Settings) All() iter.Seq[Setting] {
	return func(yield func(Setting) bool) {
		for i := range f.Len() {
			if !yield(f.At(i)) {
				return
			}
		}
	}
}

// Equal reports whether f and g are the same on the wire.
func (f Settings) Equal(g Settings) bool { return f.Ack == g.Ack && bytes.Equal(f.payload, g.payload) }

// Append appends the wire form of f to b and returns the longer slice.
func (f Settings) Append(b []byte) []byte {
	return append(f.FrameHeader().Append(b), f.payload...)
}

// FrameHeader returns the header with which Append writes f.
func (f Settings) FrameHeader() Header {
	return Header{Length: lengthOf(len(f.payload)), Type: TypeSettings, Flags: flagsIf(f.Ack, FlagAck)}
}

// String describes f in one line.
func (f Settings) String() string {
	s := []byte(f.FrameHeader().String()) // grows by append: a peer may send thousands of settings
	for v := range f.All() {
		s = append(append(s, ' '), v.String()...)
	}
	return string(s)
}

// AppendSettings appends a SETTINGS frame with s in this order to b and returns the longer slice.
func AppendSettings(b []byte, s ...Setting) []byte {
	n := settingLen * len(s)
	checkHeader(n, 0)
	b = append(b, byte(n>>16), byte(n>>8), byte(n), byte(TypeSettings), 0, 0, 0, 0, 0)
	return appendEach(b, s)
}

// AppendSettingsAck appends a SETTINGS frame with ACK to b and returns the longer slice.
func AppendSettingsAck(b []byte) []byte {
	return Header{Type: TypeSettings, Flags: FlagAck}.Append(b)
}

func appendEach(b []byte, settings []Setting) []byte {
	for _, s := range settings {
		b = append(b,
			byte(s.ID>>8), byte(s.ID),
			byte(s.Value>>24), byte(s.Value>>16), byte(s.Value>>8), byte(s.Value))
	}
	return b
}
