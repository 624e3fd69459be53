package capture

import (
	"strings"
	"time"
)

// Limits of what is kept of requests that are not over yet.
const (
	maxOpenRequests  = 10_000   // of a connection
	maxHeldByConn    = 12 << 20 // octets of fields and lists, of a connection
	maxHeldByAll     = 24 << 20 // of all connections
	freeHeld         = 4 << 10  // of a connection, even where others have taken all
	exchangeOverhead = 1 << 10  // octets of memory of an exchange without them
	maxInterim       = 100      // 1xx responses of a request
	maxChunks        = 1000     // of a request
	maxDroppedText   = 256      // octets of method, path and such, where fields were dropped
	fieldOverhead    = 64       // octets of memory for a field beside name and value
)

// An exchange is a Request in the making.
type exchange struct {
	Request
	list   *exchanges
	losses [2]uint64 // the losses of list, when the exchange began
	ended  [2]bool   // by Dir
	asked  bool      // the header section of the request was seen
	final  bool      // the header section of the final response was seen
	began  time.Time // first octet of the final response
	pieces [2]bool   // by Dir: Body events were delivered
	grpc   [2]grpcReader

	priority priority // is that of Request at the end

	// Of HTTP/1.1: the request asks for another protocol; nothing more comes of a side, though its
	// end was not seen.
	upgrade bool
	stopped [2]bool // by Dir

	held       int64 // octets
	dropped    bool  // fields and lists are no longer kept
	prev, next *exchange
}

// exchanges are the requests of a connection that are not over yet, the oldest first.
type exchanges struct {
	s      *session
	finish func(x *exchange) // emits and removes it
	losses [2]uint64         // by Dir, how often octets were lost that may be those of any request

	first, last *exchange
	full        *exchange // all before it have been dropped
	n           int
	held        int64
}

// add puts x last, and gives up the oldest where there are too many.
func (l *exchanges) add(x *exchange) {
	x.list, x.losses = l, l.losses
	for l.n >= maxOpenRequests || l.n > 0 && l.tooMuch() {
		l.first.Problem = "too many requests were open at once, so that this one is no longer followed"
		l.finish(l.first)
	}
	x.prev = l.last
	if l.last == nil {
		l.first = x
	} else {
		l.last.next = x
	}
	l.last = x
	if l.full == nil {
		l.full = x
	}
	l.n++
	l.count(x, exchangeOverhead)
}

// count adds n octets to what x holds.
func (l *exchanges) count(x *exchange, n int64) {
	x.held += n
	l.held += n
	l.s.a.requestsHeld.Add(n)
}

// tooMuch reports whether less must be held.
func (l *exchanges) tooMuch() bool {
	return l.held > maxHeldByConn || l.held > freeHeld && l.s.a.requestsHeld.Load() > maxHeldByAll
}

// remove forgets x.
func (l *exchanges) remove(x *exchange) {
	if x.prev == nil {
		l.first = x.next
	} else {
		x.prev.next = x.next
	}
	if x.next == nil {
		l.last = x.prev
	} else {
		x.next.prev = x.prev
	}
	if l.full == x {
		l.full = x.next
	}
	l.n--
	l.count(x, -x.held)
	x.prev, x.next = nil, nil
	x.dropped = true // nothing more is held
}

// hold reports whether x may keep n octets more. Fields and lists of the oldest requests are
// dropped to make room.
func (l *exchanges) hold(x *exchange, n int64) bool {
	if x.dropped {
		return false
	}
	l.count(x, n)
	for l.full != nil && l.tooMuch() {
		oldest := l.full
		l.full = oldest.next
		l.count(oldest, exchangeOverhead-oldest.held)
		oldest.drop()
	}
	return !x.dropped
}

// drop forgets fields and lists.
func (x *exchange) drop() {
	x.dropped = true
	x.Fields, x.Trailers, x.Interim, x.DataChunks = [2][]Field{}, [2][]Field{}, nil, nil
	if x.GRPC != nil {
		x.GRPC.Messages = [2][]int64{}
	}
	x.clip()
	x.Problem = "too much is kept of requests that are not over yet: fields of this one were dropped"
}

// clip shortens the texts that are left of an exchange whose fields were dropped.
func (x *exchange) clip() {
	texts := []*string{
		&x.Method, &x.Scheme, &x.Authority, &x.Path, &x.Protocol, &x.Reason, &x.ContentType, &x.Priority,
	}
	if g := x.GRPC; g != nil {
		texts = append(texts, &g.Method, &g.Message, &g.Encoding[Client], &g.Encoding[Server])
	}
	for _, t := range texts {
		if len(*t) > maxDroppedText {
			*t = strings.Clone((*t)[:maxDroppedText])
		}
	}
}

// keep returns a copy of fields, or nil where there is no room.
func (x *exchange) keep(fields []Field) []Field {
	var n int64
	for i := range fields {
		n += int64(len(fields[i].Name)+len(fields[i].Value)) + fieldOverhead
	}
	if !x.list.hold(x, n) {
		x.clip()
		return nil
	}
	return append([]Field(nil), fields...)
}

// chunk adds DATA of the response. Where there is too much, neighbours become one.
func (x *exchange) chunk(t time.Time, octets int64) {
	const size = 32 // octets of memory
	n := len(x.DataChunks)
	if n > 0 && x.DataChunks[n-1].Time.Equal(t) {
		x.DataChunks[n-1].Octets += octets
		return
	}
	if n == maxChunks {
		for i := range maxChunks / 2 {
			x.DataChunks[i] = Chunk{x.DataChunks[2*i+1].Time, x.DataChunks[2*i].Octets + x.DataChunks[2*i+1].Octets}
		}
		x.DataChunks = x.DataChunks[:maxChunks/2]
	}
	if n < maxChunks && !x.list.hold(x, size) {
		return
	}
	x.DataChunks = append(x.DataChunks, Chunk{t, octets})
}
