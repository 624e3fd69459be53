package capture

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

const (
	largeHeaders   = 16 << 10               // octets of a header section
	manyBlocks     = 20                     // requests, or responses, from which on HPACK should pay
	uselessPercent = 60                     // of the octets are left by HPACK
	muchWaiting    = 100 * time.Millisecond // without window
)

// noteRules are about what breaks no rule and costs time.
var noteRules = []rule{
	{
		Rule: Rule{
			ID: "windows-small", Group: "Advice", Section: "RFC 9113 §5.2.2", Severity: Note,
			Title: "a side has waited for windows",
			Text: "It had more to send and no window, for 100 ms or more in total. Where the stalls are about as long " +
				"as the round-trip time, the windows are too small for the path: a larger SETTINGS_INITIAL_WINDOW_SIZE, " +
				"or a larger window of the connection, helps. Where they are longer, the receiver does not read.",
		},
		kind: onEnd, on: noteWaiting,
	},
	{
		Rule: Rule{
			ID: "headers-large", Group: "Advice", Section: "RFC 9113 §10.5.1", Severity: Note,
			Title: "a large header section",
			Text:  "16 KiB or more, with 32 octets a field. Many servers and proxies refuse it. Cookies are the usual reason.",
		},
		frames: headerTypes, once: perConn,
		check: func(l *lint, f *Frame) *offence {
			if l.message.kind == noMessage || l.message.size < largeHeaders {
				return nil
			}
			return offend(f, "a header section of %d octets", l.message.size)
		},
	},
	{
		Rule: Rule{
			ID: "hpack-unused", Group: "Advice", Section: "RFC 7541 §2.3", Severity: Note,
			Title: "header sections are hardly compressed",
			Text: "60% or more of the octets are left, in 20 header sections or more. The sender does not use the " +
				"dynamic table, or the receiver's SETTINGS_HEADER_TABLE_SIZE is too small.",
		},
		kind: onEnd, on: func(l *lint, e *lintEvent) (list []*offence) {
			for d := range l.sides {
				h := &l.sides[d].hpack
				if h.blocks < manyBlocks || h.octets*100 < h.size*uselessPercent {
					continue
				}
				list = append(list, &offence{
					text: fmt.Sprintf("%d header sections of %v have %d octets, and %d in HPACK",
						h.blocks, sideName(Dir(d)), h.size, h.octets),
					dir: Dir(d), time: e.time,
				})
			}
			return list
		},
	},
	{
		Rule: Rule{
			ID: "request-unanswered", Group: "Advice", Section: "RFC 9113 §8.1", Severity: Note,
			Title: "the connection ends before a request is answered",
			Text: "The client does not know whether the request was processed. A server that stops says so with " +
				"GOAWAY, and ends the connection when all requests are answered (RFC 9113 §6.8).",
		},
		kind: onEnd, on: func(l *lint, e *lintEvent) (list []*offence) {
			if e.how == wire.Open {
				return nil
			}
			for id, st := range l.streams.All() {
				if !st.sure() || opener(id) != Client || st.heads[Client] == 0 || st.heads[Server] > 0 || st.unread[Server] ||
					!st.resets[Client].IsZero() || !st.resets[Server].IsZero() || l.refused(id) {
					continue
				}
				list = append(list, &offence{
					text: fmt.Sprintf("the connection has ended, and the request on stream %d has no response", id),
					dir:  Server, stream: id, time: e.time,
				})
			}
			slices.SortFunc(list, func(a, b *offence) int { return cmp.Compare(a.stream, b.stream) })
			return list
		},
	},
	{
		Rule: Rule{
			ID: "priority-without-use", Group: "Advice", Section: "RFC 9218 §2.1.1", Severity: Note,
			Title: "PRIORITY, though the server does not use it",
			Text: "The server has sent SETTINGS_NO_RFC7540_PRIORITIES of 1, and the client goes on to send priorities " +
				"of RFC 7540. Those of RFC 9218 are the priority field and PRIORITY_UPDATE.",
		},
		frames: types(frame.TypePriority), once: perConn,
		check: func(l *lint, f *Frame) *offence {
			if f.Dir != Client || l.sides[Server].settings.acked[frame.SettingNoRFC7540Priorities] != 1 {
				return nil
			}
			return offend(f, "the client has sent PRIORITY, which the server ignores")
		},
	},
}

// refused reports whether GOAWAY says that a request is not processed.
func (l *lint) refused(id uint32) bool {
	g := &l.sides[Server].goAway
	return g.sent && id > g.last
}

// noteWaiting says for how long each side had no window.
func noteWaiting(l *lint, e *lintEvent) (list []*offence) {
	for d := range l.waited {
		w := &l.waited[d]
		if w.total < muchWaiting {
			continue
		}
		side := Dir(d)
		list = append(list, &offence{
			text: fmt.Sprintf("%v had no window for %v in all, at most %v at once, since %v gave no credit; "+
				"SETTINGS_INITIAL_WINDOW_SIZE of %v is %d",
				sideName(side), w.total.Round(time.Millisecond), w.longest.Round(time.Millisecond), sideName(side.Other()),
				sideName(side.Other()), l.sides[side.Other()].settings.sent[frame.SettingInitialWindowSize]),
			dir: side.Other(), time: e.time,
		})
	}
	return list
}
