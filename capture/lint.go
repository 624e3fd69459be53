package capture

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

const (
	// maxFindings is how many Findings of a rule are reported of a connection. How many more there were
	// is reported at its end.
	maxFindings = 100

	// againAfter is when a rule that is reported once is reported again.
	againAfter = time.Minute
)

// A lint checks a connection against the rules (rules.go). For each frame it asks the rules of its
// type, with what is known before the frame, and then takes the frame into account.
//
// A capture lies between the two sides. What one of them has sent is certain to have been sent
// before what it sends next, but not that it had received what the other one has sent. So a side is
// judged by what it has sent itself, and by what it has acknowledged. Where octets were lost it is
// not judged by what they may have been.
type lint struct {
	s       *session
	sides   [2]lintSide // by Dir
	streams stream.Table[*lintStream]
	closed  closedList
	message lintMessage      // the header section that ended with this frame
	counts  []uint32         // by rule; nil: none was broken
	last    []time.Time      // by rule: when one of perConn was reported
	waited  [2]waitedTotal   // by Dir
	held    [2][]heldOffence // by Dir of the side that has to send first
}

// lintSide is what is known of one side.
type lintSide struct {
	frames    uint64
	lossy     bool   // some of its frames were not seen
	lost      int64  // octets that are missing, and are in no frame yet
	highest   uint32 // stream that it has opened or promised
	open      uint32 // streams that it has opened, and which it knows to be open
	opened    uint32 // all of them
	settings  lintSettings
	block     lintBlock
	misplaced bool // its block began where the stream does not permit HEADERS
	pings     []lintPing
	goAway    lintGoAway
	rates     rates
	hpack     hpackTotal
}

func newLint(s *session) *lint {
	l := &lint{s: s}
	for d := range l.sides {
		side := &l.sides[d]
		side.lossy = s.startMissing(Dir(d))
		side.settings.unsure = side.lossy
		side.settings.init()
	}
	if s.info.Found == "upgrade" {
		st := l.open(1, s.info.Time)
		st.view = [2]stream.State{stream.HalfClosedLocal, stream.HalfClosedRemote}
		st.unsure, st.heads[Client] = true, 1
		l.sides[Client].highest, l.sides[Client].open = 1, 1
	}
	l.event(onOpen, &lintEvent{time: s.info.Time})
	return l
}

// An offence is what breaks a rule.
type offence struct {
	text    string
	section string // where it is another one than that of the rule
	stream  uint32
	dir     Dir
	frame   uint64
	time    time.Time
}

// offend makes an offence of a frame.
func offend(f *Frame, format string, args ...any) *offence {
	return &offence{
		text: fmt.Sprintf(format, args...), stream: f.Header.StreamID, dir: f.Dir, frame: f.Number, time: f.Time,
	}
}

// of has the section of an error.
func (o *offence) of(section string) *offence {
	if section != "" {
		o.section = section
	}
	return o
}

// by is done by another side than the one that has sent the frame.
func (o *offence) by(d Dir) *offence { o.dir = d; return o }

// on is done on another stream than that of the frame.
func (o *offence) on(id uint32) *offence { o.stream = id; return o }

// report emits a Finding for an offence.
func (l *lint) report(rule int, o *offence) {
	r := &rules[rule]
	if st := l.get(o.stream); r.once == perStream && st != nil {
		if st.reported.has(rule) {
			return
		}
		st.reported.add(rule)
	}
	if l.counts == nil {
		l.counts, l.last = make([]uint32, len(rules)), make([]time.Time, len(rules))
	}
	if r.once == perConn {
		if last := l.last[rule]; !last.IsZero() && o.time.Sub(last) < againAfter {
			return
		}
		l.last[rule] = o.time
	}
	if l.counts[rule]++; l.counts[rule] > maxFindings {
		return
	}
	l.finding(r, o)
}

func (l *lint) finding(r *rule, o *offence) {
	section := r.Section
	if o.section != "" {
		section = o.section
	}
	l.s.emit(&Finding{
		Conn: l.s.info.ID, Stream: o.stream, Frame: o.frame, Time: o.time, Dir: o.dir,
		Rule: r.ID, Section: section, Severity: r.Severity, Text: o.text,
	})
}

// frame sees a frame.
func (l *lint) frame(f *Frame) {
	l.settleLoss(f)
	l.begin(f)
	l.release(f.Dir)
	for _, i := range rulesOf[f.Header.Type] {
		if rules[i].roles && l.s.info.StartMissing {
			continue
		}
		switch o := rules[i].check(l, f); {
		case o == nil:
		case rules[i].crosses:
			l.hold(i, o, f.Dir.Other())
		default:
			l.report(i, o)
		}
	}
	l.apply(f)
	l.sides[f.Dir].frames++
}

// heldOffence is an offence that is none if octets of the other side are missing. A hole in what
// one side sends is known only later, when what the other side sends has long been read.
type heldOffence struct {
	rule int
	*offence
}

const (
	maxHeldOffences = 1000 // that wait for a side
	offenceOctets   = 256  // of memory
)

// hold reports an offence when side d is seen to send again, and nothing was lost before.
func (l *lint) hold(rule int, o *offence, d Dir) {
	if len(l.held[d]) < maxHeldOffences && l.s.a.held.take(offenceOctets) {
		l.held[d] = append(l.held[d], heldOffence{rule, o})
	}
}

// release reports what was held until d sends.
func (l *lint) release(d Dir) {
	for _, h := range l.held[d] {
		l.report(h.rule, h.offence)
	}
	l.dropHeld(d)
}

// dropHeld forgets what was held until d sends.
func (l *lint) dropHeld(d Dir) {
	l.s.a.held.give(len(l.held[d]) * offenceOctets)
	l.held[d] = nil
}

// event checks the rules of a kind that are not about one frame.
func (l *lint) event(kind eventKind, e *lintEvent) {
	for _, i := range rulesOfKinds[kind] {
		for _, o := range rules[i].on(l, e) {
			l.report(i, o)
		}
	}
}

// A lintEvent is what the rules of other kinds than those of frames look at.
type lintEvent struct {
	time time.Time
	gap  *Gap
	st   *Stall
	how  wire.How
}

// gap sees a Gap.
func (l *lint) gap(g *Gap) { l.event(onGap, &lintEvent{time: g.Time, gap: g}) }

// waits counts a period without window of side d, be it long enough for a Stall or not.
func (l *lint) waits(d Dir, p *period) { l.waited[d].add(p) }

// stall sees a Stall.
func (l *lint) stall(s *Stall) {
	l.event(onStall, &lintEvent{time: s.End, st: s})
}

// end is the last call.
func (l *lint) end(t time.Time, how wire.How) {
	for d := range l.held {
		if l.sides[d].lost > 0 {
			l.lostFrames(Dir(d))
		}
		l.release(Dir(d))
	}
	l.event(onEnd, &lintEvent{time: t, how: how})
	l.s.a.unfollow(l.streams.Len())
	for i, n := range l.counts {
		if n <= maxFindings {
			continue
		}
		r := &rules[i]
		text := r.Title + ": " + strconv.FormatUint(uint64(n-maxFindings), 10) + " more times"
		l.finding(r, &offence{text: text, time: t})
	}
}

// sideName begins the text of a Finding.
func sideName(d Dir) string { return "the " + d.String() }

// frameOn names a frame in the text of a Finding.
func frameOn(h frame.Header) string {
	return h.Type.String() + " on stream " + strconv.FormatUint(uint64(h.StreamID), 10)
}
