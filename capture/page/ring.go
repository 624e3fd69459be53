package page

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// maxConns is how many of the last connections a ring knows, even if their Connection is too old
// for it.
const maxConns = 1000

// A record is an event in JSON.
type record struct {
	seq  uint64
	conn uint64
	kind string // of the event
	json []byte
}

// A ring keeps the last events, and has readers wait for those to come.
type ring struct {
	maxEvents int
	maxOctets int64

	mu sync.Mutex
	// records are in the order of seq, which has no holes. first is the index of the oldest.
	records []record
	first   int
	octets  int64
	next    uint64            // seq of the event to come
	conns   map[uint64]record // the Connections of records that are kept, and of those that have not ended
	e       encoder
	changed chan struct{} // closed and replaced when an event has come while a reader waits
	waiting bool
	closed  bool
	viewers int

	epoch int64 // tells the ring of one run of a program from that of another
}

func (r *ring) init(maxEvents int, maxOctets int64) {
	r.maxEvents, r.maxOctets = maxEvents, maxOctets
	r.changed, r.conns = make(chan struct{}), map[uint64]record{}
	r.epoch = time.Now().UnixNano()
}

// enter reports whether there is a place for one more viewer, and takes it.
func (r *ring) enter(max int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.viewers >= max {
		return false
	}
	r.viewers++
	return true
}

// leave gives the place back.
func (r *ring) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.viewers--
}

// add adds an event and drops the oldest ones above the bounds.
func (r *ring) add(ev capture.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.e.b = r.e.b[:0]
	if r.closed || !r.e.event(ev, false) {
		return
	}
	rec := record{seq: r.next, conn: ev.ConnID(), kind: ev.Kind(), json: bytes.Clone(r.e.b)}
	r.next++
	r.records = append(r.records, rec)
	r.octets += int64(len(rec.json))
	for len(r.records)-r.first > 1 && (len(r.records)-r.first > r.maxEvents || r.octets > r.maxOctets) {
		r.dropLocked()
	}
	if r.first > len(r.records)/2 && r.first > 64 {
		n := copy(r.records, r.records[r.first:])
		clear(r.records[n:])
		r.records, r.first = r.records[:n], 0
	}
	if rec.kind == "connection" {
		r.connectedLocked(rec)
	}
	if r.waiting {
		close(r.changed)
		r.changed = make(chan struct{})
		r.waiting = false
	}
}

// dropLocked drops the oldest record. With the end of a connection the last of its records goes.
func (r *ring) dropLocked() {
	old := &r.records[r.first]
	r.octets -= int64(len(old.json))
	if old.kind == "end" {
		delete(r.conns, old.conn)
	}
	*old = record{}
	r.first++
}

// connectedLocked keeps a Connection; the oldest goes where there are too many.
func (r *ring) connectedLocked(rec record) {
	if len(r.conns) >= maxConns {
		oldest := rec
		for _, c := range r.conns {
			if c.seq < oldest.seq {
				oldest = c
			}
		}
		delete(r.conns, oldest.conn)
	}
	r.conns[rec.conn] = rec
}

// A position is where a reader stands: the seq of the event that it has not seen yet.
type position struct {
	next  uint64
	begun bool
}

// resume is the position of a viewer that has seen the message with the given id. A viewer that
// claims to have seen what is yet to come goes on from now.
func (r *ring) resume(id string) position {
	epoch, seq, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil || epoch != strconv.FormatInt(r.epoch, 10) {
		return position{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return position{next: min(n, r.next), begun: true}
}

// read appends up to max records behind p to dst. Where there are none it returns a channel that is
// closed when there are. missed is how many events were dropped before p could see them: at the
// beginning they are those older than the ring.
func (r *ring) read(p *position, dst []record, max int) (_ []record, wait <-chan struct{}, missed uint64, done bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := r.next - uint64(len(r.records)-r.first)
	if p.next < oldest {
		missed = oldest - p.next
		if !p.begun {
			for _, id := range slices.Sorted(maps.Keys(r.conns)) {
				if c := r.conns[id]; c.seq < oldest {
					dst = append(dst, c)
				}
			}
		}
		p.next = oldest
	}
	p.begun = true
	from := r.first + int(p.next-oldest)
	to := min(from+max, len(r.records))
	dst = append(dst, r.records[from:to]...)
	p.next += uint64(to - from)
	if len(dst) == 0 && !r.closed {
		r.waiting = true
		return dst, r.changed, missed, false
	}
	return dst, nil, missed, r.closed && to == len(r.records)
}

// close has readers end.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.changed)
	}
}
