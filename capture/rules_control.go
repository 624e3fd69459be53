package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// controlRules are about PING, GOAWAY and RST_STREAM (RFC 9113 §6.4, §6.7, §6.8).
var controlRules = []rule{
	{
		Rule: Rule{
			ID: "ping-ack-unexpected", Group: "Connection", Section: "RFC 9113 §6.7", Severity: Error,
			Title: "PING is answered that was not sent",
			Text:  "The answer to PING has its 8 octets. This one has others, or there was no PING.",
		},
		crosses: true,
		frames:  types(frame.TypePing),
		check: func(l *lint, f *Frame) *offence {
			p, ok := f.Parsed.(frame.Ping)
			other := &l.sides[f.Dir.Other()]
			if !ok || !p.Ack || l.anyLossy() || len(other.pings) == maxLintPings || other.waits(p.Data) >= 0 {
				return nil
			}
			return offend(f, "%v answers PING %x, which %v has not sent", sideName(f.Dir), p.Data, sideName(f.Dir.Other()))
		},
	},
	{
		Rule: Rule{
			ID: "ping-ack-missing", Group: "Connection", Section: "RFC 9113 §6.7", Severity: Warning,
			Title: "PING is not answered",
			Text: "The side goes on to send, but has not answered PING for 10 seconds. Most senders of PING take the " +
				"connection for dead.",
		},
		once: perConn,
		check: func(l *lint, f *Frame) *offence {
			p := l.sides[f.Dir.Other()].pings
			if len(p) == 0 || f.Time.Sub(p[0].at) < answerTime || f.Header.Type == frame.TypePing {
				return nil
			}
			return offend(f, "%v has not answered PING for %v",
				sideName(f.Dir), f.Time.Sub(p[0].at).Round(time.Millisecond)).on(0)
		},
	},
	{
		Rule: Rule{
			ID: "goaway-rises", Group: "Connection", Section: "RFC 9113 §6.8", Severity: Error,
			Title: "the last stream of GOAWAY rises",
			Text: "A further GOAWAY may only lower the last stream identifier: the client may have sent the requests " +
				"above it again elsewhere.",
		},
		frames: types(frame.TypeGoAway),
		check: func(l *lint, f *Frame) *offence {
			p, ok := f.Parsed.(frame.GoAway)
			g := &l.sides[f.Dir].goAway
			if !ok || !g.sent || p.LastStreamID <= g.last {
				return nil
			}
			return offend(f, "%v has sent GOAWAY with the last stream %d after one with %d",
				sideName(f.Dir), p.LastStreamID, g.last)
		},
	},
	{
		Rule: Rule{
			ID: "goaway-error", Group: "Connection", Section: "RFC 9113 §5.4.1", Severity: Warning,
			Title: "a side ends the connection for an error",
			Text: "GOAWAY has a code that is not NO_ERROR. The code and the debug data say what the side complains of; the " +
				"cause is most often in what the other side has sent right before.",
		},
		frames: types(frame.TypeGoAway),
		check: func(_ *lint, f *Frame) *offence {
			p, ok := f.Parsed.(frame.GoAway)
			if !ok || p.Code == frame.NoError {
				return nil
			}
			o := offend(f, "%v ends the connection with %v", sideName(f.Dir), p.Code)
			if len(p.DebugData) > 0 {
				o.text += ": " + quoted(p.DebugData)
			}
			return o
		},
	},
	{
		Rule: Rule{
			ID: "stream-after-goaway", Group: "Connection", Section: "RFC 9113 §6.8", Severity: Error,
			Title: "a stream is opened after GOAWAY of the other side",
			Text: "A side that has received GOAWAY opens no more streams. This one came so much later that it must have had " +
				"GOAWAY. The request is not processed where the last stream identifier is below.",
		},
		frames: types(frame.TypeHeaders), check: checkAfterGoAway,
	},
	{
		Rule: Rule{
			ID: "reset-error", Group: "Connection", Section: "RFC 9113 §5.4.2", Severity: Warning,
			Title: "a side resets a stream for an error",
			Text: "RST_STREAM has a code that says that something went wrong: not NO_ERROR, CANCEL or REFUSED_STREAM, " +
				"nor STREAM_CLOSED where both sides had ended the stream, as curl sends it behind a whole response.",
		},
		frames: types(frame.TypeRSTStream),
		check: func(l *lint, f *Frame) *offence {
			p, ok := f.Parsed.(frame.RSTStream)
			switch {
			case !ok, p.Code == frame.NoError, p.Code == frame.Cancel, p.Code == frame.RefusedStream:
				return nil
			case p.Code == frame.StreamClosed:
				if st := l.get(f.Header.StreamID); st != nil && st.end == [2]bool{true, true} {
					return nil
				}
			}
			return offend(f, "%v resets stream %d with %v", sideName(f.Dir), f.Header.StreamID, p.Code)
		},
	},
	{
		Rule: Rule{
			ID: "stream-refused", Group: "Connection", Section: "RFC 9113 §8.7", Severity: Note,
			Title: "a stream is refused",
			Text: "REFUSED_STREAM says that the request was not processed and may be sent again: there are too many " +
				"streams, or the server is about to stop.",
		},
		frames: types(frame.TypeRSTStream),
		check: func(_ *lint, f *Frame) *offence {
			p, ok := f.Parsed.(frame.RSTStream)
			if !ok || p.Code != frame.RefusedStream {
				return nil
			}
			return offend(f, "%v refuses stream %d", sideName(f.Dir), f.Header.StreamID)
		},
	},
}

func checkAfterGoAway(l *lint, f *Frame) *offence {
	g := &l.sides[f.Dir.Other()].goAway
	if !g.sent || f.Dir != Client || l.stateBefore(f) != stream.Idle || opener(f.Header.StreamID) != Client {
		return nil
	}
	late := f.First.Sub(g.at)
	if late < l.lateAfter(f.Dir) {
		return nil
	}
	return offend(f, "the client opens stream %d, %v after GOAWAY of the server",
		f.Header.StreamID, late.Round(time.Millisecond))
}
