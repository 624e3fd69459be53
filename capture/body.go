package capture

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Defaults of a ContentDecoder.
const (
	DefaultMaxSent    = 4 << 20 // octets
	DefaultMaxDecoded = 8 << 20 // octets
	DefaultMaxWaiting = 8 << 20 // octets
	DefaultMaxRatio   = 1000

	ratioFloor    = 1 << 20 // octets that may always be decoded
	maxOpenHeads  = 50_000  // messages, of all connections
	maxHeadOctets = 256     // of content-type
)

// A Content is what a message carries, without the codings that it was sent with (RFC 9110 §8.4).
type Content struct {
	Conn   uint64
	Stream uint32
	Dir    Dir
	Time   time.Time // of its end, or of what was seen last

	Type    string   // content-type, of which at most 256 octets are kept
	Codings []string // content codings that were undone, in the order in which they were applied
	Octets  []byte   // up to what Err is about
	Sent    int64    // octets as they were sent, those that are missing left out

	// Messages are those of gRPC in Octets, of which at most 1,000 are told apart. With gRPC-Web
	// trailers are none of them.
	Messages []GRPCMessage

	// Err says why there is not more in Octets: octets were lost, the message was cut, a coding is
	// not valid or not known, or a limit. It is nil where all of the content is there.
	Err error
}

// A ContentDecoder makes Contents of the events of any number of connections, however their
// messages interleave. It needs Options.Bodies. The codings gzip, deflate, br and zstd are undone,
// several in a row, too, and those of the messages of gRPC.
//
// Content is kept as it was sent until its message is over, and is decoded then. It is not for
// several goroutines at once.
type ContentDecoder struct {
	// Handler gets each Content that has octets or should have, when its message is over. It and its
	// octets are valid during the call only.
	Handler func(*Content)

	// MaxSent bounds what is kept of one message as it was sent, MaxDecoded what is decoded of it,
	// and MaxWaiting what is kept of all messages that are not over; in octets. MaxRatio bounds how
	// many octets one may become, behind the first MiB. 0 is the default of each. What is decoded
	// takes as much memory as MaxDecoded, and up to 24 MiB for the windows of br and zstd.
	MaxSent, MaxDecoded, MaxWaiting, MaxRatio int64

	conns   map[uint64]*openContents
	n       int // messages in conns
	waiting int64
	decoded []byte // of the message before, for the next one
}

// openContents are those of a connection.
type openContents struct {
	open map[contentKey]*openContent
	gaps [2]uint64 // by Dir, how often octets were lost
}

// contentKey names a message of a connection.
type contentKey struct {
	stream uint32
	dir    Dir
}

// openContent is the content of a message that is not over.
type openContent struct {
	known   bool // the header section was seen
	kind    string
	codings []string
	length  int64 // content-length; -1 is none

	grpcCoding string // grpc-encoding
	octets     []byte
	sent       int64
	time       time.Time
	any        bool   // content was seen
	gaps       uint64 // of the connection, when the content began
	complete   bool
	err        error
}

// Errors of Content.
var (
	errContentLost = errors.New("octets of the content are missing from here on")
	errContentCut  = errors.New("the message was cut off")
	errContentGap  = errors.New("octets of the connection were lost while it was sent: parts may be missing")
	errNoHead      = errors.New("the header section was not seen: if the content is compressed, it is shown so")
	errTooMuchOpen = errors.New("too much content is under way at once: the rest is not kept")
)

// Event takes the next event.
func (c *ContentDecoder) Event(e Event) {
	conn := e.ConnID()
	switch e := e.(type) {
	case *Frame:
		if len(e.Fields) > 0 && !e.Trailer && beginsMessage(e.Fields) && !promises(e) {
			c.head(conn, contentKey{e.Header.StreamID, e.Dir}, e.Fields, fieldValue(e.Fields, ":status"))
		}
	case *Message:
		if !e.Trailer {
			c.head(conn, contentKey{e.Stream, e.Dir}, e.Fields, statusOfLine(e))
		}
	case *Body:
		c.body(e)
	case *Gap:
		if o := c.conns[conn]; o != nil && e.Stream == 0 {
			o.gaps[e.Dir]++
		}
	case *Request:
		c.finish(conn, contentKey{e.Stream, Client})
		c.finish(conn, contentKey{e.Stream, Server})
	case *End:
		c.closeConn(conn)
	}
}

// Close ends what is still open.
func (c *ContentDecoder) Close() {
	for _, conn := range slices.Sorted(maps.Keys(c.conns)) {
		c.closeConn(conn)
	}
}

func (c *ContentDecoder) closeConn(conn uint64) {
	o := c.conns[conn]
	if o == nil {
		return
	}
	for _, k := range slices.SortedFunc(maps.Keys(o.open), func(a, b contentKey) int {
		return cmp.Or(cmp.Compare(a.stream, b.stream), cmp.Compare(a.dir, b.dir))
	}) {
		c.finish(conn, k)
	}
	delete(c.conns, conn)
}

// statusOfLine returns the status code of a response, and "" of a request.
func statusOfLine(m *Message) string {
	if s, ok := parseStatusLine(m.Line); ok {
		return strconv.Itoa(s.status)
	}
	return ""
}

// head takes a header section.
func (c *ContentDecoder) head(conn uint64, k contentKey, fields []Field, status string) {
	if len(status) == 3 && status[0] == '1' {
		return
	}
	o := c.of(conn, k)
	if o == nil || o.known {
		return
	}
	o.known, o.length = true, -1
	kind := fieldValue(fields, "content-type")
	o.kind = strings.Clone(kind[:min(len(kind), maxHeadOctets)])
	o.codings = codingsOf(fields)
	if coding := fieldValue(fields, "grpc-encoding"); len(coding) <= maxHeadOctets {
		o.grpcCoding = strings.Clone(strings.ToLower(coding)) // not a part of a longer text
	}
	if n, err := strconv.ParseUint(fieldValue(fields, "content-length"), 10, 63); err == nil {
		o.length = int64(n)
	}
}

// of returns the content of a message, or nil where there are too many.
func (c *ContentDecoder) of(conn uint64, k contentKey) *openContent {
	contents := c.conns[conn]
	if contents == nil {
		if c.n >= maxOpenHeads {
			return nil
		}
		if c.conns == nil {
			c.conns = make(map[uint64]*openContents)
		}
		contents = &openContents{open: make(map[contentKey]*openContent)}
		c.conns[conn] = contents
	}
	o := contents.open[k]
	if o == nil && c.n < maxOpenHeads {
		o = &openContent{length: -1, gaps: contents.gaps[k.dir]}
		contents.open[k] = o
		c.n++
	}
	return o
}

// body takes a piece of content.
func (c *ContentDecoder) body(e *Body) {
	k := contentKey{e.Stream, e.Dir}
	o := c.of(e.Conn, k)
	if o == nil {
		return
	}
	o.any, o.time = true, e.Time
	if e.Lost != 0 && o.err == nil {
		o.err = errContentLost
	}
	o.sent += int64(len(e.Octets))
	if o.err == nil {
		c.keep(o, e.Octets)
	}
	if e.End {
		o.complete = true
		c.finish(e.Conn, k)
	}
}

// keep keeps octets within the limits.
func (c *ContentDecoder) keep(o *openContent, p []byte) {
	most := orDefault(c.MaxSent, DefaultMaxSent)
	if n := most - int64(len(o.octets)); n < int64(len(p)) {
		p = p[:n]
		o.err = fmt.Errorf("the content is longer than %d octets as it was sent: the rest is not kept", most)
	}
	if n := orDefault(c.MaxWaiting, DefaultMaxWaiting) - c.waiting; n < int64(len(p)) {
		p = p[:max(n, 0)]
		o.err = errTooMuchOpen
	}
	o.octets = append(o.octets, p...)
	c.waiting += int64(len(p))
}

// finish decodes the content of a message, and forgets it.
func (c *ContentDecoder) finish(conn uint64, k contentKey) {
	contents := c.conns[conn]
	if contents == nil || contents.open[k] == nil {
		return
	}
	o := contents.open[k]
	delete(contents.open, k)
	c.n--
	c.waiting -= int64(len(o.octets))
	if !o.any {
		return
	}
	switch {
	case o.gaps != contents.gaps[k.dir] && o.length != o.sent && (o.err == nil || errors.Is(o.err, errContentLost)):
		o.err = errContentGap
	case o.err == nil && !o.complete:
		o.err = errContentCut
	}
	content := Content{Conn: conn, Stream: k.stream, Dir: k.dir, Time: o.time, Type: o.kind, Sent: o.sent}
	content.Octets, content.Codings, content.Err = c.decode(o)
	if !o.known && content.Err == nil {
		content.Err = errNoHead
	}
	var err error
	if content.Messages, err = c.messages(o); content.Err == nil {
		content.Err = err
	}
	c.Handler(&content)
}

// promises reports whether the header block of f is that of PUSH_PROMISE.
func promises(f *Frame) bool { return f.Dir == Server && fieldValue(f.Fields, ":method") != "" }

func orDefault(n, def int64) int64 {
	if n <= 0 {
		return def
	}
	return n
}
