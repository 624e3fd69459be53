package capture

import (
	"errors"

	"github.com/sluice-go/sluice/capture/internal/hpackdec"
	"github.com/sluice-go/sluice/frame"
)

// blockRules are about header blocks (RFC 9113 §4.3, RFC 7541).
var blockRules = []rule{
	{
		Rule: Rule{
			ID: "continuation-interrupted", Group: "Header blocks", Section: "RFC 9113 §4.3", Severity: Error,
			Title: "a header block is interrupted",
			Text: "Behind HEADERS or PUSH_PROMISE without END_HEADERS, only CONTINUATION of the same stream may come, until " +
				"one has END_HEADERS. The receiver ends the connection with PROTOCOL_ERROR.",
		},
		check: func(l *lint, f *Frame) *offence {
			b := &l.sides[f.Dir].block
			if !b.open || f.Header.Type == frame.TypeContinuation && f.Header.StreamID == b.stream {
				return nil
			}
			return offend(f, "%s comes in the midst of a header block of stream %d", frameOn(f.Header), b.stream)
		},
	},
	{
		Rule: Rule{
			ID: "continuation-unexpected", Group: "Header blocks", Section: "RFC 9113 §6.10", Severity: Error,
			Title: "CONTINUATION continues nothing",
			Text: "It does not come behind HEADERS, PUSH_PROMISE or CONTINUATION without END_HEADERS. The receiver ends the " +
				"connection with PROTOCOL_ERROR.",
		},
		frames: types(frame.TypeContinuation),
		check: func(l *lint, f *Frame) *offence {
			side := &l.sides[f.Dir]
			if side.block.open || side.lossy {
				return nil
			}
			return offend(f, "%s continues no header block", frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "hpack-invalid", Group: "Header blocks", Section: "RFC 9113 §4.3", Severity: Error,
			Title: "a header block cannot be decoded",
			Text: "The octets are no HPACK (RFC 7541): the two sides do not have the same table any more, or a size " +
				"update is missing or too large. The receiver ends the connection with COMPRESSION_ERROR.",
		},
		frames: types(frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation),
		check: func(_ *lint, f *Frame) *offence {
			if f.Err == nil {
				return nil
			}
			var he *hpackdec.Error
			code, section, reason, ok := parseError(f.Err)
			if !ok || code != frame.CompressionError {
				return nil
			}
			if errors.As(f.Err, &he) {
				reason = he.Error()
			}
			return offend(f, "%v: %s", sideName(f.Dir), reason).of(section)
		},
	},
	{
		Rule: Rule{
			ID: "header-list-too-large", Group: "Header blocks", Section: "RFC 9113 §6.5.2", Severity: Warning,
			Title: "a header section is larger than its receiver has said to take",
			Text: "SETTINGS_MAX_HEADER_LIST_SIZE is advice: the receiver may answer 431, reset the stream, or take " +
				"it. Sizes are those of names and values with 32 octets a field.",
		},
		frames: types(frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation),
		check: func(l *lint, f *Frame) *offence {
			s, m := &l.sides[f.Dir.Other()].settings, &l.message
			most := s.most(frame.SettingMaxHeaderListSize)
			if s.unsure || len(m.fields) == 0 || m.size <= uint64(most) {
				return nil
			}
			return offend(f, "a header section of %d octets; %v takes %d", m.size, sideName(f.Dir.Other()), most)
		},
	},
}
