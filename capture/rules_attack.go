package capture

import (
	"time"

	"github.com/sluice-go/sluice/frame"
)

// Limits from which on a side is taken to attack, for any second unless something else is said.
const (
	manyResets     = 100 // streams that are reset as soon as they are opened
	manyFaults     = 50  // streams that a server has to reset for a fault, within 10 seconds
	manyPings      = 1000
	manySettings   = 100
	manyPriorities = 1000
	manyUpdates    = 1000
	updatesPerData = 10 // WINDOW_UPDATE for a frame of DATA
	manyEmpty      = 100
	manyTiny       = 1000
	manyInFrame    = 32        // settings of a frame
	manyFragments  = 64        // CONTINUATION of a block, beside one for each 16 octets
	largeBlock     = 256 << 10 // octets of a block
	bombSize       = 256 << 10 // octets of a header section
	bombFields     = 1000
	bombRatio      = 40 // octets for one of the block
	slowRead       = 10 * time.Second
)

// attackRules are about patterns that are known from attacks (RFC 9113 §10.5). Each frame of them
// is permitted.
var attackRules = []rule{
	attack("rapid-reset", "CVE-2023-44487", "requests are cancelled as soon as they are sent",
		"The client resets 100 streams or more in a second, each within 100 ms of its HEADERS. The server begins work that "+
			"nobody waits for, beyond SETTINGS_MAX_CONCURRENT_STREAMS. Count a stream until its handler returns.",
		func(l *lint, f *Frame) *offence {
			if r := &l.sides[f.Dir].rates.resets; f.Dir == Client && r.n >= manyResets {
				return offend(f, "the client has reset %d streams within a second, right after HEADERS", r.n)
			}
			return nil
		}),
	attack("made-you-reset", "CVE-2025-8671", "a client makes the server reset its streams",
		"The server has had to reset 50 streams or more in 10 seconds, for faults of the client: such resets free a stream "+
			"while its handler runs. Count a stream until its handler returns, and end such connections.",
		func(l *lint, f *Frame) *offence {
			if r := &l.sides[Client].rates.faults; f.Dir == Client && r.n >= manyFaults && f.Time.Sub(r.since) <= faultTime {
				return offend(f, "the server has reset %d streams within 10 seconds for faults of the client", r.n)
			}
			return nil
		}),
	attack("continuation-flood", "VU#421644, CVE-2023-45288", "a header block does not end",
		"More than 64 CONTINUATION frames beside one for each 16 octets, with an empty one counted twice, or more than "+
			"256 KiB. Receivers decode all of it without ever having a request to refuse.",
		func(l *lint, f *Frame) *offence {
			b := &l.sides[f.Dir].block
			if !b.open || b.frames+b.empty <= manyFragments+b.octets/16 && b.octets <= largeBlock {
				return nil
			}
			return offend(f, "a header block of %d octets in %d frames has not ended", b.octets, b.frames+1)
		}),
	attack("hpack-bomb", "CVE-2016-6581, CVE-2026-49975", "a small block makes a large header section",
		"Each octet of the block stands for 40 octets or more of fields: 256 KiB, or 1,000 fields. HPACK refers to a long "+
			"field with one octet. Count the size while decoding, and the fields too, with each crumb of a cookie.",
		func(l *lint, f *Frame) *offence {
			m := &l.message
			if m.size < bombSize && len(m.fields) < bombFields || m.size < bombRatio*uint64(m.octets) {
				return nil
			}
			return offend(f, "%d octets stand for %d fields of %d octets", m.octets, len(m.fields), m.size)
		}),
	attack("ping-flood", "CVE-2019-9512", "many PING frames",
		"1,000 or more in a second. Each asks for an answer, which is queued while the peer does not read.",
		func(l *lint, f *Frame) *offence {
			return flood(f, frame.TypePing, l.sides[f.Dir].rates.pings, manyPings)
		}),
	attack("settings-flood", "CVE-2019-9515", "many SETTINGS frames",
		"100 or more in a second, or more than 32 settings in one. Each frame asks for an acknowledgement.",
		func(l *lint, f *Frame) *offence {
			if s, ok := f.Parsed.(frame.Settings); ok && s.Len() > manyInFrame {
				return offend(f, "SETTINGS of %v has %d settings", sideName(f.Dir), s.Len())
			}
			return flood(f, frame.TypeSettings, l.sides[f.Dir].rates.settings, manySettings)
		}),
	attack("priority-flood", "CVE-2019-9513", "many PRIORITY frames",
		"1,000 or more PRIORITY or PRIORITY_UPDATE frames in a second. Each moves streams in the tree "+
			"of a server that has one.",
		func(l *lint, f *Frame) *offence {
			return flood(f, frame.TypePriority, l.sides[f.Dir].rates.priorities, manyPriorities)
		}),
	attack("window-update-flood", "CVE-2019-9511", "many WINDOW_UPDATE frames with little credit",
		"1,000 or more in a second, and more than 10 for each frame of DATA. The other side has to look for "+
			"what it may send each time.",
		func(l *lint, f *Frame) *offence {
			r := &l.sides[f.Dir].rates
			if r.updates.n <= updatesPerData*r.data {
				return nil
			}
			return flood(f, frame.TypeWindowUpdate, r.updates, manyUpdates)
		}),
	attack("empty-frames", "CVE-2019-9518", "many frames without octets",
		"100 or more DATA frames, or fragments of header blocks, in a second that carry nothing and end nothing.",
		func(l *lint, f *Frame) *offence {
			if n := l.sides[f.Dir].rates.empty.n; n >= manyEmpty {
				return offend(f, "%v has sent %d frames within a second that carry nothing", sideName(f.Dir), n)
			}
			return nil
		}),
	attack("tiny-data", "RFC 9113 §10.5", "much DATA of few octets",
		"1,000 or more frames in a second with less than 9 octets of data, which is less than the header of a frame. The "+
			"receiver's memory for each is larger than what counts for the window.",
		func(l *lint, f *Frame) *offence {
			if n := l.sides[f.Dir].rates.tiny.n; n >= manyTiny {
				return offend(f, "%v has sent %d DATA frames of less than %d octets within a second", sideName(f.Dir), n, tinyData)
			}
			return nil
		}),
	{
		Rule: Rule{
			ID: "slow-read", Group: "Attacks", Section: "CVE-2016-1546, CVE-2019-9517", Severity: Warning,
			Title: "a window is kept shut",
			Text: "A side gives no credit, or next to none, for 10 seconds or more, while the other one holds what it " +
				"would send. A slow reader does that, and an attacker with many streams. Reset such streams in time.",
		},
		kind: onStall, on: func(_ *lint, e *lintEvent) []*offence {
			s := e.st
			if s.Blocked < slowRead {
				return nil
			}
			return []*offence{{
				text: sideName(s.Dir.Other()) + " has kept the " + s.Window.String() + " window shut for " +
					s.Blocked.Round(time.Millisecond).String(),
				stream: s.Stream, dir: s.Dir.Other(), frame: s.Frame, time: s.End,
			}}
		},
	},
}

// attack is a rule about a pattern. It is reported once a minute, with the first frame behind those
// that make it up.
func attack(id, section, title, text string, check func(l *lint, f *Frame) *offence) rule {
	return rule{
		Rule: Rule{
			ID: id, Group: "Attacks", Section: section, Severity: Warning, Title: title, Text: text,
		},
		once: perConn, check: check,
	}
}

// flood is an offence where there are many frames of a type.
func flood(f *Frame, t frame.Type, r rate, many uint32) *offence {
	if r.n < many || f.Time.Sub(r.since) > time.Second {
		return nil
	}
	return offend(f, "%v has sent %d %v frames within a second", sideName(f.Dir), r.n, t).on(0)
}
