package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// http2 reads the frames of a connection from its octets.
type http2 struct{ dirs [2]splitter }

// newHTTP2 returns a reader of frames. Each direction begins with the octets that the finder has
// held; that of the client with the preface, unless the start is missing.
func newHTTP2(s *session) *http2 {
	h := new(http2)
	for d := range h.dirs {
		h.dirs[d] = splitter{s: s, d: Dir(d), h2: h}
	}
	if s.info.StartMissing {
		h.dirs[Client].search(time.Time{}, &gap{reason: "start", octets: -1})
		h.dirs[Server].search(time.Time{}, &gap{reason: "start", octets: -1})
	} else {
		h.dirs[Client].preface = len(frame.Preface)
	}
	return h
}

// Octets implements wire.Sink.
func (h *http2) Octets(d wire.Dir, t time.Time, p []byte) { h.dirs[d].octets(t, p) }

// Lost implements wire.Sink.
func (h *http2) Lost(d wire.Dir, t time.Time, n int64, why string) { h.dirs[d].lost(t, n, why) }

// End implements wire.Sink.
func (h *http2) End(d wire.Dir, t time.Time, _ wire.How) { h.dirs[d].end(t) }

// maxPayload is how much of the payload of a frame other than DATA is kept, in octets.
const maxPayload = 1 << 20

// keptPayload is how much memory for payloads is kept from one frame to the next, in octets.
const keptPayload = 2 << 10

// A splitter finds the frames in the octets of a direction.
//
// It knows where a frame begins from where the one before it ends. After a loss that hides this, it
// searches for what looks like frames (search.go).
type splitter struct {
	s       *session
	d       Dir
	h2      *http2
	preface int // octets of the preface that are still to come

	head    [frame.HeaderLen]byte
	nhead   int          // octets of head
	first   time.Time    // of the first octet of the frame
	open    bool         // header is whole, and payload is to come
	header  frame.Header // of the frame
	left    uint32       // octets of the payload that are to come
	missing uint32       // octets of the payload that have passed and are not in the capture
	payload []byte       // of a frame other than DATA
	dropped bool         // the payload is not kept
	pad     int          // of DATA: Pad Length, -1 where it is not known
	content uint32       // of DATA: octets in front of the padding that are to come
	hole    int64        // of DATA: octets of content that are missing before the next ones
	holes   *gap         // of the frame: what is missing in it, and not reported yet

	doubt  int   // frames to come that have to be plausible, since their place was found by search
	seek   *held // octets that are searched; nil: the place of the next frame is known
	gap    *gap  // why they are
	edge   bool  // seek begins where the search does
	scanAt int   // octets of seek with which to scan again
	nested int   // searches that are under way
}

// octets takes the next octets of the direction.
func (sp *splitter) octets(t time.Time, p []byte) {
	for len(p) > 0 {
		switch {
		case sp.seek != nil:
			sp.find(t, p)
			return
		case sp.preface > 0:
			p = p[sp.skipPreface(p):]
		case !sp.open:
			p = sp.readHeader(t, p)
		default:
			p = sp.readPayload(t, p)
		}
	}
}

// skipPreface returns how many octets of p are the rest of the preface.
func (sp *splitter) skipPreface(p []byte) int {
	n := min(len(p), sp.preface)
	at := len(frame.Preface) - sp.preface
	if string(p[:n]) != frame.Preface[at:at+n] { // it does not begin as it must
		sp.preface = 0
		return 0
	}
	sp.preface -= n
	return n
}

// readHeader takes octets of a frame header, and returns those behind.
func (sp *splitter) readHeader(t time.Time, p []byte) []byte {
	if sp.nhead == 0 {
		sp.first = t
		if len(p) >= frame.HeaderLen {
			h := frame.ParseHeader(p)
			rest := p[frame.HeaderLen:]
			if h.Type != frame.TypeData && len(rest) >= int(h.Length) && sp.doubt == 0 { // the usual case: no copy
				sp.s.whole(sp.d, t, t, h, rest[:h.Length:h.Length], 0)
				return rest[h.Length:]
			}
		}
	}
	n := copy(sp.head[sp.nhead:], p)
	if sp.nhead += n; sp.nhead < frame.HeaderLen {
		return nil
	}
	sp.header = frame.ParseHeader(sp.head[:])
	if sp.doubt > 0 {
		sp.doubt--
		if plausible(sp.head[:], sp.limits()) == 0 {
			sp.research(t)
			return p[n:]
		}
	}
	sp.begin(t)
	return p[n:]
}

// begin begins the payload of a frame.
func (sp *splitter) begin(t time.Time) {
	h := sp.header
	sp.nhead = 0
	sp.open, sp.left, sp.missing = true, h.Length, 0
	sp.pad, sp.content, sp.hole = -1, h.Length, 0
	if h.Type == frame.TypeData && h.Flags.Has(frame.FlagPadded) {
		sp.content = 0 // until Pad Length has come
	}
	sp.dropped = h.Type != frame.TypeData && h.Length > maxPayload
	if sp.left == 0 {
		sp.finish(t)
	}
}

// readPayload takes octets of a payload, and returns those behind.
func (sp *splitter) readPayload(t time.Time, p []byte) []byte {
	n := min(len(p), int(sp.left))
	part := p[:n]
	if sp.header.Type == frame.TypeData {
		sp.readData(t, part)
	} else if !sp.dropped && sp.missing == 0 {
		sp.keep(part)
	}
	if sp.left -= uint32(n); sp.left == 0 {
		sp.finish(t)
	}
	return p[n:]
}

// keep keeps octets of a payload, if there is room for them.
func (sp *splitter) keep(part []byte) {
	if !sp.s.a.held.take(len(part)) {
		sp.dropped = true
		return
	}
	sp.payload = append(sp.payload, part...)
}

// takePayload returns what was kept of a payload; the next one takes its place.
func (sp *splitter) takePayload() []byte {
	p := sp.payload
	sp.s.a.held.give(len(p))
	if sp.payload = p[:0]; cap(p) > keptPayload {
		sp.payload = nil
	}
	return p
}

// readData hands on content.
func (sp *splitter) readData(t time.Time, part []byte) {
	h := sp.header
	if h.Flags.Has(frame.FlagPadded) && sp.left == h.Length {
		sp.pad = int(part[0])
		part = part[1:]
		sp.content = uint32(max(0, int(h.Length)-1-sp.pad))
	}
	n := min(uint32(len(part)), sp.content)
	if n == 0 {
		return
	}
	sp.content -= n
	sp.s.content(sp.d, t, h.StreamID, part[:n], sp.hole)
	sp.hole = 0
}

// finish delivers the frame.
func (sp *splitter) finish(t time.Time) {
	sp.open = false
	sp.reportHoles(t)
	h := sp.header
	if h.Type == frame.TypeData {
		if sp.hole > 0 {
			sp.s.content(sp.d, t, h.StreamID, nil, sp.hole)
		}
		sp.s.dataFrame(sp.d, sp.first, t, h, sp.pad, sp.missing)
		return
	}
	payload := sp.takePayload()
	if sp.dropped {
		sp.s.droppedFrame(sp.d, sp.first, t, h, sp.missing)
		return
	}
	sp.s.whole(sp.d, sp.first, t, h, payload, sp.missing)
}

// lost takes note of n octets that are missing; -1 is an unknown number.
func (sp *splitter) lost(t time.Time, n int64, why string) {
	sp.s.lost(sp.d, t, n)
	if sp.seek != nil {
		sp.gap.add(n, int64(sp.seek.len()))
		sp.seek.reset()
		sp.edge, sp.scanAt = true, 0
		return
	}
	g := newGap(n, why)
	if sp.open && n > 0 && n <= int64(sp.left) {
		sp.addHole(t, g)
		sp.miss(t, uint32(n))
		return
	}
	if sp.open {
		sp.miss(t, sp.left)
	}
	g.skipped = int64(sp.nhead)
	sp.nhead, sp.preface = 0, 0
	sp.search(t, g)
}

// addHole notes what is missing within the frame. It is reported with the frame, once for each
// reason.
func (sp *splitter) addHole(t time.Time, g *gap) {
	if h := sp.holes; h != nil && h.reason == g.reason {
		h.add(g.octets, 0)
		return
	}
	sp.reportHoles(t)
	g.within = sp.header
	sp.holes = g
}

// reportHoles emits a Gap for what is missing within the frame.
func (sp *splitter) reportHoles(t time.Time) {
	if sp.holes != nil {
		sp.holes.emit(sp.s, sp.d, t)
		sp.holes = nil
	}
}

// miss takes note of n octets of the payload that are missing.
func (sp *splitter) miss(t time.Time, n uint32) {
	h := sp.header
	if h.Type == frame.TypeData {
		if h.Flags.Has(frame.FlagPadded) && sp.left == h.Length { // Pad Length is missing, too
			sp.content = 0
			sp.hole += int64(h.Length)
		}
		lost := min(n, sp.content)
		sp.content -= lost
		sp.hole += int64(lost)
	}
	sp.missing += n
	if sp.left -= n; sp.left == 0 {
		sp.finish(t)
	}
}

// end is the last call for the direction.
func (sp *splitter) end(t time.Time) {
	if sp.seek != nil {
		sp.findLast(t)
	}
	if sp.open { // the connection, or the capture, ends within a frame
		sp.miss(t, sp.left)
	}
}
