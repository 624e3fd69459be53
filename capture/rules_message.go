package capture

import "github.com/sluice-go/sluice/frame"

// messageRules are about the order of header sections and DATA, and the length of the content
// (RFC 9113 §8.1).
var messageRules = []rule{
	{
		Rule: Rule{
			ID: "data-before-headers", Group: "Messages", Section: "RFC 9113 §8.1", Severity: Error,
			Title: "DATA before the header section of the response",
			Text:  "A response begins with HEADERS. The client resets the stream with PROTOCOL_ERROR.",
		},
		frames: types(frame.TypeData), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			st := l.get(f.Header.StreamID)
			if f.Dir != Server || !l.sends(f, st) || st.heads[Server] > 0 || st.unread[Server] {
				return nil
			}
			return offend(f, "the server has sent %s before a response", frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "interim-ends-stream", Group: "Messages", Section: "RFC 9113 §8.1", Severity: Error,
			Title: "an interim response ends the stream",
			Text:  "Behind a response of 1xx there comes a final one, so that it must not have END_STREAM.",
		},
		frames: headerTypes,
		check: func(l *lint, f *Frame) *offence {
			if l.message.kind != interimHead || !l.message.endStream {
				return nil
			}
			return offend(f, "the server ends stream %d with :status %d", f.Header.StreamID, l.message.Status)
		},
	},
	{
		Rule: Rule{
			ID: "trailers-without-end-stream", Group: "Messages", Section: "RFC 9113 §8.1", Severity: Error,
			Title: "trailers without END_STREAM",
			Text:  "A second header section ends the message. The receiver resets the stream with PROTOCOL_ERROR.",
		},
		frames: headerTypes,
		check: func(l *lint, f *Frame) *offence {
			m := &l.message
			if m.kind != trailerSection || m.endStream || !m.stream.sure() || m.stream.tunnel() {
				return nil
			}
			return offend(f, "%v has sent a second header section on stream %d, which does not end it",
				sideName(f.Dir), f.Header.StreamID)
		},
	},
	{
		Rule: Rule{
			ID: "headers-in-tunnel", Group: "Messages", Section: "RFC 9113 §8.5", Severity: Error,
			Title: "HEADERS in a tunnel",
			Text:  "Once CONNECT was answered with 2xx, the stream carries DATA alone.",
		},
		frames: headerTypes,
		check: func(l *lint, f *Frame) *offence {
			m := &l.message
			if m.kind != trailerSection || !m.stream.sure() || !m.stream.tunnel() {
				return nil
			}
			return offend(f, "%v has sent a header section in the tunnel of stream %d", sideName(f.Dir), f.Header.StreamID)
		},
	},
	{
		Rule: Rule{
			ID: "content-length-wrong", Group: "Messages", Section: "RFC 9113 §8.1.1", Severity: Error,
			Title: "content-length differs from the content",
			Text: "The octets of DATA are not as many as content-length says. The receiver resets the stream with " +
				"PROTOCOL_ERROR; one that does not lets requests be smuggled in.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders, frame.TypeContinuation), once: perStream, check: checkLength,
	},
	{
		Rule: Rule{
			ID: "content-unexpected", Group: "Messages", Section: "RFC 9110 §6.4.1", Severity: Error,
			Title: "content in a response that has none",
			Text:  "Responses to HEAD, and those of 204 and 304, have no content.",
		},
		frames: types(frame.TypeData), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			st := l.get(f.Header.StreamID)
			if f.Dir != Server || !l.sends(f, st) || !st.noBody || f.DataLen == 0 {
				return nil
			}
			return offend(f, "the server has sent %d octets of content on stream %d", f.DataLen, st.id)
		},
	},
	{
		Rule: Rule{
			ID: "grpc-status-missing", Group: "Messages", Section: "gRPC over HTTP/2", Severity: Warning,
			Title: "a response of gRPC without grpc-status",
			Text: "A call ends with trailers that have grpc-status. Without it the client reports UNKNOWN or " +
				"INTERNAL: often a proxy on the way does not pass trailers on.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders, frame.TypeContinuation), once: perStream, check: checkGRPCStatus,
	},
	{
		Rule: Rule{
			ID: "grpc-te-missing", Group: "Messages", Section: "gRPC over HTTP/2", Severity: Warning,
			Title: "a request of gRPC without te: trailers",
			Text:  "It says that all on the way pass trailers on. Some servers refuse a call without it.",
		},
		frames: headerTypes,
		check: func(l *lint, f *Frame) *offence {
			m := &l.message
			if m.kind != requestHead || !isGRPC(m.fields) || fieldOf(m.fields, "te") == "trailers" {
				return nil
			}
			return offend(f, "the request on stream %d has no te: trailers", f.Header.StreamID)
		},
	},
}

// sends reports whether a side may be sending a message, as far as the stream is known. The frame
// is of that message, even if it has ended the stream before its block was over.
func (l *lint) sends(f *Frame, st *lintStream) bool {
	return st.sure() && (f.Header.Type == frame.TypeContinuation || l.stateBefore(f).CanSend())
}

// checkLength compares content-length with DATA, as soon as it is known to be wrong.
func checkLength(l *lint, f *Frame) *offence {
	st, id := l.get(f.Header.StreamID), f.Header.StreamID
	declared, have, ends := int64(-1), int64(0), false
	m := &l.message
	switch {
	case f.Header.Type == frame.TypeData:
		ends = f.Header.Flags.Has(frame.FlagEndStream)
	case m.kind == trailerSection:
		ends = true
	case m.kind == requestHead || m.kind == responseHead:
		if !m.endStream || m.ContentLength <= 0 || m.kind == responseHead && (st == nil || st.head || m.Status == 304) {
			return nil
		}
		return offend(f, "content-length on stream %d is %d, and there is no content", id, m.ContentLength)
	default:
		return nil
	}
	if !l.sends(f, st) {
		return nil
	}
	declared, have = st.declared[f.Dir], st.content[f.Dir]
	if f.Header.Type == frame.TypeData {
		have += int64(f.DataLen)
	}
	if declared < 0 || have == declared || have < declared && !ends {
		return nil
	}
	return offend(f, "content-length on stream %d is %d, and there are %d octets of content", id, declared, have)
}

func checkGRPCStatus(l *lint, f *Frame) *offence {
	st, m := l.get(f.Header.StreamID), &l.message
	ends := m.kind != noMessage && m.endStream
	if f.Header.Type == frame.TypeData {
		ends = f.Header.Flags.Has(frame.FlagEndStream)
	}
	if f.Dir != Server || !ends || !l.sends(f, st) {
		return nil
	}
	grpc := st.grpc || m.kind == responseHead && isGRPC(m.fields)
	if !grpc || fieldOf(m.fields, "grpc-status") != "" {
		return nil
	}
	return offend(f, "the call on stream %d has ended without grpc-status", f.Header.StreamID)
}
