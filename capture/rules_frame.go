package capture

import (
	"errors"

	"github.com/sluice-go/sluice/frame"
)

// frameRules are about single frames (RFC 9113 §4, §6).
var frameRules = []rule{
	{
		Rule: Rule{
			ID: "frame-size", Group: "Frames", Section: "RFC 9113 §4.2", Severity: Error,
			Title: "a frame has a length that its type does not permit",
			Text: "The payload is shorter or longer than the fields of the frame. The receiver ends the connection with " +
				"FRAME_SIZE_ERROR, or the stream where the frame is PRIORITY.",
		},
		check: func(_ *lint, f *Frame) *offence { return invalid(f, wrongSize) },
	},
	{
		Rule: Rule{
			ID: "frame-too-long", Group: "Frames", Section: "RFC 9113 §4.2", Severity: Error,
			Title: "a frame is longer than SETTINGS_MAX_FRAME_SIZE of its receiver",
			Text: "A receiver takes frames of 16,384 octets unless its SETTINGS say more. It answers a longer one with " +
				"FRAME_SIZE_ERROR. A new value counts once it is acknowledged; both are accepted until then.",
		},
		crosses: true,
		check:   checkFrameSize,
	},
	{
		Rule: Rule{
			ID: "frame-on-wrong-stream", Group: "Frames", Section: "RFC 9113 §6", Severity: Error,
			Title: "a frame is on a stream where its type must not be",
			Text: "DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE and CONTINUATION belong on a stream, SETTINGS, PING, " +
				"GOAWAY and PRIORITY_UPDATE on the connection, which is stream 0. The receiver ends the connection " +
				"with PROTOCOL_ERROR.",
		},
		check: func(_ *lint, f *Frame) *offence { return invalid(f, onWrongStream) },
	},
	{
		Rule: Rule{
			ID: "padding-too-long", Group: "Frames", Section: "RFC 9113 §6.1", Severity: Error,
			Title: "the padding is longer than the payload",
			Text:  "Pad Length says more octets than the frame has. The receiver ends the connection with PROTOCOL_ERROR.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders, frame.TypePushPromise),
		check:  func(_ *lint, f *Frame) *offence { return invalid(f, tooPadded) },
	},
	{
		Rule: Rule{
			ID: "window-update-zero", Group: "Frames", Section: "RFC 9113 §6.9", Severity: Error,
			Title: "WINDOW_UPDATE with an increment of 0",
			Text: "It gives no credit, and is an error: of the stream, or, on stream 0, of the connection. Sent to make a " +
				"server reset its streams, it is a way of MadeYouReset (CVE-2025-8671).",
		},
		frames: types(frame.TypeWindowUpdate),
		check:  func(_ *lint, f *Frame) *offence { return invalid(f, wrongContent) },
	},
	{
		Rule: Rule{
			ID: "priority-self", Group: "Frames", Section: "RFC 7540 §5.3.1", Severity: Error,
			Title: "a stream depends on itself",
			Text: "The priority in HEADERS or PRIORITY names its own stream. RFC 9113 has dropped the scheme, but receivers " +
				"that still follow it reset the stream.",
		},
		frames: types(frame.TypeHeaders, frame.TypePriority), check: checkSelfDependency,
	},
	{
		Rule: Rule{
			ID: "frame-invalid", Group: "Frames", Section: "RFC 9113 §6", Severity: Error,
			Title: "a frame breaks a rule of its type",
			Text:  "The finding says which rule, and its section.",
		},
		check: func(_ *lint, f *Frame) *offence { return invalid(f, otherFault) },
	},
	{
		Rule: Rule{
			ID: "extension-invalid", Group: "Frames", Section: "RFC 7838 §4", Severity: Warning,
			Title: "a frame of an extension that has to be ignored",
			Text: "ALTSVC without an origin on stream 0, or with one on another stream; ORIGIN on a stream other than 0. " +
				"The receiver ignores the frame.",
		},
		frames: types(frame.TypeAltSvc, frame.TypeOrigin),
		check: func(_ *lint, f *Frame) *offence {
			if !errors.Is(f.Err, frame.ErrIgnore) {
				return nil
			}
			o := offend(f, "%v has sent %s, which has to be ignored", sideName(f.Dir), frameOn(f.Header))
			if f.Header.Type == frame.TypeOrigin {
				o.section = "RFC 8336 §2.1"
			}
			return o
		},
	},
	{
		Rule: Rule{
			ID: "extension-by-client", Group: "Frames", Section: "RFC 7838 §4", Severity: Warning,
			Title: "a client has sent a frame that only servers send",
			Text:  "ALTSVC and ORIGIN are for servers. One of a client is ignored.",
		},
		roles:  true,
		frames: types(frame.TypeAltSvc, frame.TypeOrigin),
		check: func(_ *lint, f *Frame) *offence {
			if f.Dir != Client {
				return nil
			}
			o := offend(f, "the client has sent %v, which is for servers", f.Header.Type)
			if f.Header.Type == frame.TypeOrigin {
				o.section = "RFC 8336 §2.1"
			}
			return o
		},
	},
	{
		Rule: Rule{
			ID: "priority-update-by-server", Group: "Frames", Section: "RFC 9218 §7.1", Severity: Error,
			Title: "a server has sent PRIORITY_UPDATE",
			Text:  "Only clients ask for priorities. The client ends the connection with PROTOCOL_ERROR.",
		},
		roles:  true,
		frames: types(frame.TypePriorityUpdate),
		check: func(_ *lint, f *Frame) *offence {
			if f.Dir != Server {
				return nil
			}
			return offend(f, "the server has sent PRIORITY_UPDATE")
		},
	},
	{
		Rule: Rule{
			ID: "flags-undefined", Group: "Frames", Section: "RFC 9113 §4.1", Severity: Warning,
			Title: "a flag that the type of frame does not have",
			Text: "Flags without a meaning are left unset, unless an extension was negotiated that gives them one. " +
				"Receivers ignore them.",
		},
		once: perConn,
		check: func(_ *lint, f *Frame) *offence {
			if !f.Header.Type.Known() || int(f.Header.Type) >= len(shapes) {
				return nil
			}
			if more := f.Header.Flags &^ shapes[f.Header.Type].flags; more != 0 {
				return offend(f, "%s has the flags 0x%02x, which the type does not have", frameOn(f.Header), uint8(more))
			}
			return nil
		},
	},
}

// invalid is the offence of a frame that package frame refuses, if it is of a kind.
func invalid(f *Frame, kind func(f *Frame, code frame.Code) bool) *offence {
	if f.Err == nil {
		return nil
	}
	code, section, reason, ok := parseError(f.Err)
	if !ok || !kind(f, code) {
		return nil
	}
	return offend(f, "%v has sent an invalid frame: %s", sideName(f.Dir), reason).of(section)
}

// parseError returns what an error says of a frame.
func parseError(err error) (code frame.Code, section, reason string, ok bool) {
	if err == nil { // the usual case, for which no memory is needed
		return 0, "", "", false
	}
	return splitError(err)
}

func splitError(err error) (code frame.Code, section, reason string, ok bool) {
	var ce *frame.ConnError
	var se *frame.StreamError
	switch {
	case errors.As(err, &ce):
		return ce.Code, ce.Section, ce.Reason, true
	case errors.As(err, &se):
		return se.Code, se.Section, se.Reason, true
	}
	return 0, "", "", false
}

// wrongSize reports whether the length is at fault.
func wrongSize(_ *Frame, code frame.Code) bool { return code == frame.FrameSizeError }

// wrongContent reports whether the fault is neither that nor the stream.
func wrongContent(f *Frame, code frame.Code) bool {
	return code == frame.ProtocolError && !onWrongStream(f, code)
}

// onWrongStream reports whether a frame is on stream 0, or on another one, where it must not be.
func onWrongStream(f *Frame, code frame.Code) bool {
	if code != frame.ProtocolError || int(f.Header.Type) >= len(shapes) {
		return false
	}
	switch shapes[f.Header.Type].conn {
	case always:
		return f.Header.StreamID != 0
	case never:
		return f.Header.StreamID == 0
	}
	return false
}

// tooPadded reports whether the padding is at fault.
func tooPadded(f *Frame, code frame.Code) bool {
	return wrongContent(f, code) && f.Header.Flags.Has(frame.FlagPadded)
}

// otherFault reports whether no other rule is about the fault.
func otherFault(f *Frame, code frame.Code) bool {
	switch f.Header.Type {
	case frame.TypeWindowUpdate, frame.TypePriority:
		return false
	case frame.TypeData, frame.TypeHeaders, frame.TypePushPromise:
		if tooPadded(f, code) {
			return false
		}
	default:
	}
	return !wrongSize(f, code) && code != frame.CompressionError && !onWrongStream(f, code)
}

// checkFrameSize compares the length with SETTINGS_MAX_FRAME_SIZE.
func checkFrameSize(l *lint, f *Frame) *offence {
	s := &l.sides[f.Dir.Other()].settings
	if s.unsure || l.sides[f.Dir.Other()].lossy {
		return nil
	}
	if most := s.most(frame.SettingMaxFrameSize); f.Header.Length > most {
		return offend(f, "%s has %d octets, and %v takes %d at most",
			frameOn(f.Header), f.Header.Length, sideName(f.Dir.Other()), most)
	}
	return nil
}

func checkSelfDependency(_ *lint, f *Frame) *offence {
	p, ok := f.Parsed.(frame.Headers)
	self := ok && p.HasPriority && p.Priority.Check(p.StreamID) != nil
	if f.Header.Type == frame.TypePriority {
		code, _, _, bad := parseError(f.Err)
		self = bad && code == frame.ProtocolError && f.Header.StreamID != 0
	}
	if !self {
		return nil
	}
	return offend(f, "%v has made stream %d depend on itself", sideName(f.Dir), f.Header.StreamID)
}
