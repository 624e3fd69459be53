package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// streamRules are about the states of streams (RFC 9113 §5.1), which package stream has.
var streamRules = []rule{
	{
		Rule: Rule{
			ID: "stream-id-parity", Group: "Streams", Section: "RFC 9113 §5.1.1", Severity: Error,
			Title: "a side opens a stream of the other side",
			Text: "Clients open streams with odd identifiers; streams with even ones are promised by the server first. The " +
				"receiver ends the connection with PROTOCOL_ERROR.",
		},
		crosses: true,
		frames:  types(frame.TypeHeaders),
		check: func(l *lint, f *Frame) *offence {
			id := f.Header.StreamID
			if id == 0 || l.stateBefore(f) != stream.Idle || opener(id) == f.Dir && f.Dir == Client {
				return nil
			}
			if opener(id) == Client {
				return offend(f, "the server answers on stream %d, which the client has not opened", id)
			}
			return offend(f, "%v opens stream %d, which the server has not promised", sideName(f.Dir), id)
		},
	},
	{
		Rule: Rule{
			ID: "stream-id-order", Group: "Streams", Section: "RFC 9113 §5.1.1", Severity: Error,
			Title: "a stream is opened out of order",
			Text: "The identifier of a new stream is higher than all before: those below are closed. One that is used again " +
				"is an attack on servers that do not look (CVE-2016-0150).",
		},
		frames: types(frame.TypeHeaders),
		check: func(l *lint, f *Frame) *offence {
			id, side := f.Header.StreamID, &l.sides[f.Dir]
			if f.Dir != Client || opener(id) != Client || l.get(id) != nil || id > side.highest || side.lossy {
				return nil
			}
			return offend(f, "the client opens stream %d behind stream %d", id, side.highest)
		},
	},
	{
		Rule: Rule{
			ID: "frame-on-idle-stream", Group: "Streams", Section: "RFC 9113 §5.1", Severity: Error,
			Title: "a frame on a stream that was never opened",
			Text: "Only HEADERS opens a stream, and only PRIORITY may come before. The receiver ends the connection with " +
				"PROTOCOL_ERROR.",
		},
		crosses: true,
		frames:  types(frame.TypeData, frame.TypeRSTStream, frame.TypePushPromise, frame.TypeWindowUpdate),
		check: func(l *lint, f *Frame) *offence {
			if f.Header.StreamID == 0 || l.stateBefore(f) != stream.Idle {
				return nil
			}
			return offend(f, "%v has sent %s, which is idle", sideName(f.Dir), frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "frame-after-end-stream", Group: "Streams", Section: "RFC 9113 §5.1", Severity: Error,
			Title: "DATA or HEADERS behind END_STREAM",
			Text: "END_STREAM is the last that a side sends of a message. The receiver answers STREAM_CLOSED: the stream is " +
				"reset, or the connection ended where both sides had ended the stream.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders, frame.TypePushPromise), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			st := l.get(f.Header.StreamID)
			if !st.sure() || !st.end[f.Dir] || st.view[f.Dir] == stream.ClosedResetLocal {
				return nil
			}
			return misuse(l, f, "%v has sent %s, which it had ended", sideName(f.Dir), frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "frame-after-reset", Group: "Streams", Section: "RFC 9113 §5.1", Severity: Error,
			Title: "a frame on a stream that its sender had reset",
			Text: "RST_STREAM is the last that a side sends on a stream, but for PRIORITY. The receiver may answer " +
				"each such frame with STREAM_CLOSED.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders, frame.TypePushPromise, frame.TypeWindowUpdate), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			if l.stateBefore(f) != stream.ClosedResetLocal {
				return nil
			}
			return misuse(l, f, "%v has sent %s, which it had reset", sideName(f.Dir), frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "reset-twice", Group: "Streams", Section: "RFC 9113 §5.4.2", Severity: Warning,
			Title: "a stream is reset twice by the same side",
			Text:  "One RST_STREAM says it all. More are permitted only for frames that go on to come long after the first.",
		},
		frames: types(frame.TypeRSTStream), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			if l.stateBefore(f) != stream.ClosedResetLocal {
				return nil
			}
			return offend(f, "%v has reset stream %d again", sideName(f.Dir), f.Header.StreamID)
		},
	},
	{
		Rule: Rule{
			ID: "frame-after-peer-reset", Group: "Streams", Section: "RFC 9113 §6.4", Severity: Warning,
			Title: "a side goes on to send on a stream that the other one has reset",
			Text: "What was on its way when RST_STREAM was sent is ignored. This came so much later that its sender " +
				"must have had RST_STREAM: it does not notice that a request was cancelled, or it reads too late.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders), once: perStream, check: checkPeerReset,
	},
	{
		Rule: Rule{
			ID: "frame-on-reserved-stream", Group: "Streams", Section: "RFC 9113 §5.1", Severity: Error,
			Title: "a frame on a stream that is promised only",
			Text: "A promised stream begins with HEADERS of the server; the client may reset it, and give it a priority or " +
				"credit, but not send on it.",
		},
		frames: types(frame.TypeData, frame.TypeHeaders, frame.TypePushPromise), once: perStream,
		check: func(l *lint, f *Frame) *offence {
			if s := l.stateBefore(f); s != stream.ReservedLocal && s != stream.ReservedRemote {
				return nil
			}
			return misuse(l, f, "%v has sent %s, which is promised", sideName(f.Dir), frameOn(f.Header))
		},
	},
	{
		Rule: Rule{
			ID: "streams-too-many", Group: "Streams", Section: "RFC 9113 §5.1.2", Severity: Error,
			Title: "more streams than SETTINGS_MAX_CONCURRENT_STREAMS",
			Text: "The side has acknowledged the limit of the other one, and opens more streams. The receiver resets " +
				"them with REFUSED_STREAM or PROTOCOL_ERROR.",
		},
		crosses: true,
		frames:  types(frame.TypeHeaders), check: checkConcurrency,
	},
}

// misuse is an offence, if the state of the stream does not permit the frame to its sender.
func misuse(l *lint, f *Frame, format string, args ...any) *offence {
	send, _, ok := stateEvent(f.Header)
	if s := l.stateBefore(f); !ok || s == 0 || s.On(send).Verdict != stream.Misuse {
		return nil
	}
	return offend(f, format, args...)
}

// lateAfter is how long after RST_STREAM, or GOAWAY, of the other side a frame cannot have been on
// its way any more.
func (l *lint) lateAfter(d Dir) time.Duration {
	return max(2*time.Second, 10*l.s.ledger.senders[d].rtt)
}

func checkPeerReset(l *lint, f *Frame) *offence {
	st := l.get(f.Header.StreamID)
	if st == nil || st.resets[f.Dir.Other()].IsZero() || st.view[f.Dir].Closed() {
		return nil
	}
	late := f.First.Sub(st.resets[f.Dir.Other()])
	if late < l.lateAfter(f.Dir) {
		return nil
	}
	return offend(f, "%v has sent %s, %v after RST_STREAM of %v",
		sideName(f.Dir), frameOn(f.Header), late.Round(time.Millisecond), sideName(f.Dir.Other()))
}

// checkConcurrency compares the streams that a side has open with the limit that it has
// acknowledged.
func checkConcurrency(l *lint, f *Frame) *offence {
	side, other := &l.sides[f.Dir], &l.sides[f.Dir.Other()]
	s := l.stateBefore(f)
	opens := f.Dir == Client && s == stream.Idle && opener(f.Header.StreamID) == Client || s == stream.ReservedLocal
	limit := other.settings.acked[frame.SettingMaxConcurrentStreams]
	if !opens || side.lossy || other.lossy || other.settings.unsure || side.open < limit {
		return nil
	}
	return offend(f, "%v opens stream %d beside %d others; %v permits %d",
		sideName(f.Dir), f.Header.StreamID, side.open, sideName(f.Dir.Other()), limit)
}
