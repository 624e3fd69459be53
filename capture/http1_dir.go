package capture

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// An http1State is what comes next of a direction.
type http1State uint8

// The states of a direction.
const (
	http1Start     http1State = iota // a start line
	http1Seek                        // a start line, somewhere
	http1Fields                      // a line of the header section
	http1Length                      // content whose length is known
	http1ChunkSize                   // the line before a chunk
	http1Chunk                       // a chunk
	http1ChunkEnd                    // the line behind a chunk
	http1Trailers                    // a line of the trailer section
	http1Close                       // content that ends with the connection
	http1Wait                        // what was sent behind CONNECT or Upgrade, before the answer
	http1Switched                    // another protocol
)

// http1Dir takes the octets of one direction.
type http1Dir struct {
	h     *http1
	d     Dir
	state http1State
	next  uint32 // number of the next message, but for 1xx
	lossy bool   // octets were lost, so that next may be too small

	line    []byte // what there is of it
	first   time.Time
	long    bool  // the line is longer than a line may be
	raw     int64 // octets of the line
	skipped int64 // octets before it that are no HTTP

	head *http1Head
	x    *exchange // of the last message
	left int64     // octets of content or of a chunk
	held []http1Held
	size int // octets of held
}

// http1Held are octets, or a loss, that wait.
type http1Held struct {
	t    time.Time
	p    []byte
	lost int64
	why  string
}

// octets takes the next octets.
func (o *http1Dir) octets(t time.Time, p []byte) {
	for len(p) > 0 {
		p = p[o.some(t, p):]
	}
}

// some takes at least one of the octets, and returns how many it took.
func (o *http1Dir) some(t time.Time, p []byte) int {
	switch o.state {
	case http1Length, http1Chunk:
		n := int(min(o.left, int64(len(p))))
		o.left -= int64(n)
		o.h.content(o.x, o.d, t, p[:n], 0)
		o.contentEnd(t)
		return n
	case http1Close:
		o.h.content(o.x, o.d, t, p, 0)
	case http1Wait:
		return o.wait(t, p)
	case http1Switched:
		o.handOn(t, p)
	default:
		return o.lineOctets(t, p)
	}
	return len(p)
}

// contentEnd goes on behind content whose length is known.
func (o *http1Dir) contentEnd(t time.Time) {
	switch {
	case o.left > 0:
	case o.state == http1Chunk:
		o.state = http1ChunkEnd
	default:
		o.messageEnd(t)
	}
}

// handOn takes octets of another protocol.
func (o *http1Dir) handOn(t time.Time, p []byte) {
	if !o.h.silent {
		o.h.content(o.h.over, o.d, t, p, 0)
	}
	if o.h.to != nil {
		o.h.s.flush()
		o.h.to.Octets(wire.Dir(o.d), t, p)
	}
}

// wait keeps octets until it is known what they are.
func (o *http1Dir) wait(t time.Time, p []byte) int {
	n := min(len(p), maxHTTP1Wait-o.size)
	if n > 0 && o.hold(n+fieldOverhead) {
		o.held = append(o.held, http1Held{t: t, p: bytes.Clone(p[:n])})
		return n
	}
	o.waited(t)
	return 0
}

// waited decides what octets are without the answer, which is late or lost.
func (o *http1Dir) waited(t time.Time) {
	if o.x.Method == "CONNECT" {
		o.h.change(o.x, http1Switch{Request: &o.x.Request, Connect: o.x.Authority, Time: t})
	} else {
		o.goOn()
	}
}

// goOn takes what has waited as HTTP/1.1.
func (o *http1Dir) goOn() {
	o.state = http1Start
	o.h.endSide(o.x, o.d, o.x.RequestEnd)
	o.replay()
}

// hold reports whether n octets more may wait.
func (o *http1Dir) hold(n int) bool {
	if !o.h.s.a.held.take(n) {
		return false
	}
	o.size += n
	return true
}

// release takes what waits.
func (o *http1Dir) release() []http1Held {
	held := o.held
	o.h.s.a.held.give(o.size)
	o.held, o.size = nil, 0
	return held
}

// replay takes what has waited.
func (o *http1Dir) replay() {
	held := o.release()
	for _, h := range held {
		if h.lost != 0 {
			o.lost(h.t, h.lost, h.why)
		} else {
			o.octets(h.t, h.p)
		}
	}
}

// lineOctets takes octets of a line, up to its end.
func (o *http1Dir) lineOctets(t time.Time, p []byte) int {
	if len(o.line) == 0 && !o.long {
		o.first = t
	}
	n := bytes.IndexByte(p, '\n') + 1
	end := n > 0
	if !end {
		n = len(p)
	}
	keep := min(n, maxHTTP1Line-len(o.line))
	o.line = append(o.line, p[:keep]...)
	if keep < n {
		o.long = true
	}
	o.raw += int64(n)
	if end {
		o.lineEnd(t)
	}
	return n
}

// lineEnd takes a line.
func (o *http1Dir) lineEnd(t time.Time) {
	line, long, raw := string(o.line), o.long, o.raw
	o.line, o.long, o.raw = o.line[:0], false, 0
	if cap(o.line) > keptHTTP1Line {
		o.line = nil
	}
	if o.head != nil {
		o.head.size += raw
	} else if o.inContent() {
		o.x.Wire[o.d] += raw
	}
	line = strings.TrimSuffix(line, "\n")
	bare := !strings.HasSuffix(line, "\r")
	line = strings.TrimSuffix(line, "\r")
	switch o.state {
	case http1Start, http1Seek:
		o.startLine(line, bare, raw)
	case http1Fields, http1Trailers:
		o.head.bareLF = o.head.bareLF || bare && !long
		if line == "" {
			o.headEnd(t)
			return
		}
		o.field(line, long)
	case http1ChunkSize:
		o.chunkSize(line)
	default: // http1ChunkEnd
		if line != "" {
			o.broken("a chunk is longer than its size")
			return
		}
		o.state = http1ChunkSize
	}
}

// field takes a line of a header section.
func (o *http1Dir) field(line string, long bool) {
	m, n := o.head, len(line)+fieldOverhead
	limit := o.h.s.a.opts.MaxFieldOctets
	if limit <= 0 {
		limit = DefaultMaxFieldOctets
	}
	switch {
	case m.kept+n > limit:
		m.problem("the fields are longer than " + strconv.Itoa(limit) + " octets: not all are shown")
	case !o.h.s.a.held.take(n):
		m.problem("too much is held of messages that are not whole yet: not all fields are shown")
	default:
		m.kept += n
		m.add(line, long)
	}
}

// chunkSize takes the line before a chunk; its extensions are ignored (RFC 9112 §7.1.1).
func (o *http1Dir) chunkSize(line string) {
	digits, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(strings.TrimRight(digits, " \t"), 16, 63)
	if err != nil {
		o.broken("a chunk has no valid size")
		return
	}
	o.left, o.state = int64(n), http1Chunk
	if n == 0 {
		o.state, o.head = http1Trailers, &http1Head{trailer: true, first: o.first}
	}
}

// broken gives the rest of a message up.
func (o *http1Dir) broken(why string) {
	o.x.Problem = why + ": the content of the " + [...]string{"request", "response"}[o.d] + " is not followed further"
	o.lossy, o.state = true, http1Seek
	o.h.stop(o.x, o.d)
}

// inContent reports whether the content of a message goes on.
func (o *http1Dir) inContent() bool {
	switch o.state {
	case http1Length, http1ChunkSize, http1Chunk, http1ChunkEnd, http1Trailers, http1Close:
		return true
	default:
		return false
	}
}

// messageEnd goes on behind a message.
func (o *http1Dir) messageEnd(t time.Time) {
	x := o.x
	o.state = http1Start
	if o.d == Client && !x.final && (x.Method == "CONNECT" || x.upgrade) {
		o.state, x.RequestEnd = http1Wait, t
		return
	}
	if o.h.over == x {
		o.state = http1Switched
		return
	}
	o.h.endSide(x, o.d, t)
}

// end ends the direction.
func (o *http1Dir) end(t time.Time, how wire.How) {
	switch o.state {
	case http1Close:
		if how == wire.Closed {
			o.messageEnd(t)
		}
	case http1Switched:
		if !o.h.silent && how == wire.Closed {
			o.h.endSide(o.h.over, o.d, t)
		}
	case http1Fields, http1Trailers:
		o.head.problem("the connection ends in it")
		o.deliver(t)
	case http1Start, http1Seek:
		o.skipped += o.raw
	default:
	}
	if o.skipped > 0 {
		o.h.s.emit(&Message{Conn: o.h.s.info.ID, Time: t, Dir: o.d, Problems: []string{
			strconv.FormatInt(o.skipped, 10) + " octets at the end are no message of HTTP/1.1",
		}})
		o.skipped = 0
	}
	if o.h.ended[o.d.Other()] {
		o.release()
		o.h.dirs[o.d.Other()].release()
	}
}
