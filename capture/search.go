package capture

import (
	"math/bits"
	"strconv"
	"time"

	"github.com/sluice-go/sluice/capture/internal/tcpstream"
	"github.com/sluice-go/sluice/frame"
)

// Where the place of frames is not known, it is searched for: a chain of frame headers, each where
// the frame before it ends, that are so plausible that it is no accident. How plausible a header is
// is counted in bits: how many that could have any value have one that fits.
const (
	enoughBits  = 64 // of a chain
	edgeBits    = 14 // more for one that begins where the search does: segments and records often begin with a frame
	lastBits    = 10 // more for one whose last frame ends where the octets do
	lastChance  = 40 // what is enough where no more octets come
	longChain   = 8  // frames that are enough
	maxSearched = 128 << 10
	maxNested   = 8  // searches for one piece of octets
	doubtful    = 16 // frames that have to be plausible after a search
)

// limits are what is known of the frames of a direction.
type limits struct {
	d        Dir
	anyDir   bool   // it is not known
	maxFrame uint32 // octets of payload
	maxID    uint32 // the highest stream identifier that there may be; 0: unknown
}

// plausible returns how plausible a header is, in bits; 0: not at all. b has at least 9 octets.
func plausible(b []byte, l limits) int {
	h := frame.ParseHeader(b)
	if h.Length > l.maxFrame || b[5]&0x80 != 0 {
		return 0
	}
	if !h.Type.Known() {
		return b2i(h.Length <= frame.MinMaxFrameSize) // GREASE, or an extension
	}
	const typeAndReserved = 8 + 1
	length := 24 - bits.Len32(h.Length)
	s := shapes[h.Type]
	if h.Flags&^s.flags != 0 || h.Length < s.least || s.most > 0 && h.Length > s.most ||
		s.unit > 0 && h.Length%s.unit != 0 || s.from != 0 && s.from != 1+uint8(l.d) && !l.anyDir {
		return 0
	}
	if s.most == s.least && s.most > 0 {
		length = 24
	}
	flags := 8 - bits.OnesCount8(uint8(s.flags))
	switch {
	case s.conn == always && h.StreamID != 0, s.conn == never && h.StreamID == 0:
		return 0
	case h.StreamID == 0:
		return typeAndReserved + length + flags + 31
	case l.maxID == 0:
		return typeAndReserved + length + flags
	case h.StreamID > l.maxID:
		return 0
	}
	return typeAndReserved + length + flags + 31 - bits.Len32(l.maxID)
}

// shape is what frames of a type look like.
type shape struct {
	flags       frame.Flags
	least, most uint32 // octets of payload; most of 0: as long as any
	unit        uint32 // that the length is a multiple of
	conn        uint8  // whether it is on stream 0
	from        uint8  // 1 + the Dir that sends it; 0: both
}

const (
	never  = iota // on stream 0
	always        // on stream 0
	either
)

var shapes = [...]shape{
	frame.TypeData:           {flags: frame.FlagEndStream | frame.FlagPadded},
	frame.TypeHeaders:        {flags: 0x2d, least: 1},
	frame.TypePriority:       {least: 5, most: 5},
	frame.TypeRSTStream:      {least: 4, most: 4},
	frame.TypeSettings:       {flags: frame.FlagAck, most: 600, unit: 6, conn: always},
	frame.TypePushPromise:    {flags: frame.FlagEndHeaders | frame.FlagPadded, least: 5, from: 1 + uint8(Server)},
	frame.TypePing:           {flags: frame.FlagAck, least: 8, most: 8, conn: always},
	frame.TypeGoAway:         {least: 8, most: 1 << 14, conn: always},
	frame.TypeWindowUpdate:   {least: 4, most: 4, conn: either},
	frame.TypeContinuation:   {flags: frame.FlagEndHeaders},
	frame.TypeAltSvc:         {least: 2, conn: either, from: 1 + uint8(Server)},
	frame.TypeOrigin:         {conn: always, from: 1 + uint8(Server)},
	frame.TypePriorityUpdate: {least: 4, most: 1 << 10, conn: always, from: 1 + uint8(Client)},
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A verdict on octets that may be frames.
type verdict uint8

const (
	no verdict = iota
	perhaps
	yes
)

// chain judges the chain of headers that begins with b. last says that no more octets come; edge,
// that b is where the search began.
func (l limits) chain(b []byte, edge, last bool) verdict {
	sum, off, n := 0, 0, 0
	if edge {
		sum = edgeBits
	}
	for ; len(b)-off >= frame.HeaderLen; n++ {
		v := plausible(b[off:], l)
		if v == 0 {
			return no
		}
		sum += v
		off += frame.HeaderLen + int(frame.ParseHeader(b[off:]).Length)
		if n >= longChain && sum >= enoughBits {
			return yes
		}
	}
	whole := off == len(b)
	if whole {
		sum += lastBits
	}
	switch {
	case n == 0:
		return perhaps
	case sum >= enoughBits && (n >= 2 || whole), last && whole && sum >= lastChance:
		return yes
	}
	return perhaps
}

// scan returns where in b a chain begins, and -1 where none is sure.
func (l limits) scan(b []byte, edge, last bool) int {
	for at := 0; at+frame.HeaderLen <= len(b); at++ {
		if int(b[at+3]) < len(shapes) && l.chain(b[at:], edge && at == 0, last) == yes {
			return at
		}
	}
	return -1
}

// limits returns what is known of the direction.
func (sp *splitter) limits() limits {
	s := sp.s
	l := limits{d: sp.d, maxFrame: s.sides[sp.d.Other()].maxFrame}
	if g := sp.gap; s.info.StartMissing {
		l.maxFrame = frame.MaxMaxFrameSize
	} else {
		l.maxID = s.lastID + 200
		if g != nil && g.octets >= 0 {
			l.maxID += uint32(min(g.octets+g.skipped, 1<<28) / 4)
		} else {
			l.maxID += 1 << 16
		}
	}
	return l
}

// search begins to search for frames.
func (sp *splitter) search(t time.Time, g *gap) {
	sp.gap, sp.seek, sp.edge = g, &held{budget: &sp.s.a.held}, true
	if g.reason == "start" { // in which case nothing is known yet
		return
	}
	sp.s.sides[sp.d].taint()
	if sp.s.tunnels != nil {
		sp.s.tunnels.framesLost(sp.d, t)
	}
}

// research searches again: what was found is not what it was taken for. The header has been read.
func (sp *splitter) research(t time.Time) {
	sp.search(t, &gap{reason: "lost", octets: -1})
	sp.nhead, sp.edge = 0, false
	sp.find(t, sp.head[:])
}

// find searches, with octets more.
func (sp *splitter) find(t time.Time, p []byte) {
	if sp.nested >= maxNested {
		sp.gap.skipped += int64(len(p))
		return
	}
	h := sp.seek
	for len(p) > 0 {
		n := min(len(p), maxSearched-h.len())
		if !h.add(t, p[:n]) {
			sp.skip(h.len())
			sp.gap.skipped += int64(n)
			p = p[n:]
			continue
		}
		p = p[n:]
		if h.len() >= sp.scanAt {
			if at := sp.limits().scan(h.buf, sp.edge, false); at >= 0 {
				sp.nested++
				sp.resume(t, at)
				sp.octets(t, p)
				sp.nested--
				return
			}
			sp.scanAt = h.len() + h.len()/16
		}
		if h.len() == maxSearched {
			sp.skip(maxSearched / 2)
		}
	}
}

// skip forgets n octets that are no frames.
func (sp *splitter) skip(n int) {
	sp.gap.skipped += int64(n)
	sp.seek.discard(n)
	sp.edge, sp.scanAt = false, 0
}

// resume goes on with frames, which begin at an octet of what is held.
func (sp *splitter) resume(t time.Time, at int) {
	h, g := sp.seek, sp.gap
	sp.seek, sp.gap, sp.doubt, sp.scanAt = nil, nil, doubtful, 0
	g.skipped += int64(at)
	g.emit(sp.s, sp.d, t)
	h.replay(at, sp.octets)
}

// findLast finds frames in the last octets of the direction.
func (sp *splitter) findLast(t time.Time) {
	if at := sp.limits().scan(sp.seek.buf, sp.edge, true); at >= 0 {
		sp.resume(t, at)
	}
	if sp.seek == nil {
		return
	}
	sp.gap.skipped += int64(sp.seek.len())
	sp.seek.reset()
	sp.gap.emit(sp.s, sp.d, t)
	sp.seek, sp.gap = nil, nil
}

// A gap is a Gap in the making.
type gap struct {
	reason  string
	octets  int64 // that are missing; -1: unknown
	skipped int64 // octets that are there, but of no frame that could be found
	within  frame.Header
}

// whyUndecrypted is why octets are lost that TLS could not decrypt. Their Gap is delivered where
// they are counted.
const whyUndecrypted = "undecrypted"

// newGap returns a gap of n octets, -1 where their number is not known.
func newGap(n int64, why string) *gap {
	g := &gap{reason: "lost", octets: n}
	switch why {
	case tcpstream.WhyCut:
		g.reason = "cut"
	case whyUndecrypted:
		g.reason, g.octets = "undecrypted", 0
	}
	return g
}

// add adds octets that are missing, behind so many that were searched in vain.
func (g *gap) add(n, skipped int64) {
	g.skipped += skipped
	if n < 0 || g.octets < 0 {
		g.octets = -1
		return
	}
	g.octets += n
}

// emit delivers the Gap.
func (g *gap) emit(s *session, d Dir, t time.Time) {
	if g.octets == 0 && g.skipped == 0 || g.reason == "start" && g.skipped == 0 {
		return
	}
	s.gap(&Gap{
		Conn: s.info.ID, Time: t, Dir: d, Stream: g.within.StreamID, Octets: g.octets, Skipped: g.skipped,
		Reason: g.reason, Text: g.text(d),
	})
}

// text says in one sentence what is missing.
func (g *gap) text(d Dir) string {
	var s string
	switch {
	case g.reason == "start":
		s = "the capture begins in the midst of what the " + d.String() + " sends"
	case g.reason == "undecrypted":
		s = "octets of the " + d.String() + " cannot be decrypted"
	case g.octets < 0:
		s = "octets of the " + d.String() + " are missing, how many is not known"
	case g.reason == "cut":
		s = octetCount(g.octets) + " of the " + d.String() + " were cut off when the packets were captured"
	default:
		s = octetCount(g.octets) + " of the " + d.String() + " are not in the capture"
	}
	if g.within.Length > 0 {
		s += ", within " + g.within.Type.String() + " on stream " + strconv.FormatUint(uint64(g.within.StreamID), 10)
	}
	if g.skipped > 0 {
		s += "; " + octetCount(g.skipped) + " behind that are skipped, up to where a frame begins"
	}
	return s
}

// octetCount writes a number of octets.
func octetCount(n int64) string {
	if n == 1 {
		return "1 octet"
	}
	return strconv.FormatInt(n, 10) + " octets"
}
