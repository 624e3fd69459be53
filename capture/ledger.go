package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// Bounds of the streams that the ledger, and the rules, know at once. DATA of others counts for the
// connection's windows alone.
const (
	maxLedgerStreams = 4096    // of a connection
	maxFollowed      = 1 << 14 // of all connections, counted for the ledger and the rules
	freeFollowed     = 16      // of a connection, even where others have taken all
)

// follow counts a stream more of a connection that has n, and reports whether it may have it.
func (a *analyzer) follow(n int) bool {
	if a.followed.Add(1) > maxFollowed && n >= freeFollowed {
		a.followed.Add(-1)
		return false
	}
	return true
}

// unfollow counts n streams less.
func (a *analyzer) unfollow(n int) { a.followed.Add(-int64(n)) }

// A ledger keeps the four windows of each stream (RFC 9113 §5.2), those of the stream and of the
// connection in both directions, and finds the times in which a sender was without.
//
// A window is credit seen less DATA seen. So it is never less than what the sender had: credit
// passes the capture before it reaches the sender, and DATA after it has left. Where the start of
// the connection is missing, or octets were lost, windows are unknown until their stream ends, and
// that of the connection for good; no Stall is reported of an unknown window. Streams that begin
// later have known windows, as long as the SETTINGS that say their size were seen.
type ledger struct {
	s       *session
	senders [2]sender // by Dir: as a sender
	streams stream.Table[*ledgerStream]
	closed  []*ledgerStream // by the frame before, and forgotten at the next one
	block   openBlock
	excess  excess
	slots   slots
	sentAt  [2]sentAt
	seen    [2]seen
	budget  int // see work
}

// ledgerStream is a stream that is not closed.
type ledgerStream struct {
	id   uint32
	send [2]sending // by Dir
	wait Wait
	head bool // a request that is answered without content

	requestEnd time.Time
	answered   bool
	done       bool
}

// openBlock is the header block that is being received: that of a stream, or a promise on it.
type openBlock struct {
	stream  uint32
	promise bool
}

// excess is what the frame that was seen last has done beyond the windows of its sender, or to
// those of its receiver.
type excess struct {
	stream, conn uint32 // octets of DATA beyond the window
	overflow     bool   // the window has become larger than 2^31-1
}

func newLedger(s *session) *ledger {
	l := &ledger{s: s, budget: maxLedgerStreams}
	for d := range l.senders {
		// Its windows are those that the other side has set in its first SETTINGS.
		known := !s.startMissing(Dir(d).Other()) && !s.info.StartMissing
		l.senders[d].initial, l.senders[d].initialKnown = frame.DefaultWindow, known
		l.senders[d].conn.init(frame.DefaultWindow, known)
	}
	l.slots.known = !s.startMissing(Server)
	if s.info.Found == "upgrade" {
		// The request came before the first frame. Its settings are still to come.
		l.senders[Server].initialKnown = false
		st := l.open(1, s.info.Time)
		st.send[Client].begun, st.send[Client].ended = true, true
		st.requestEnd = s.info.Time
	}
	return l
}

// frame sees a frame.
func (l *ledger) frame(f *Frame) {
	l.forget()
	l.excess = excess{}
	l.budget = min(l.budget+16, 1<<20)
	l.settleLoss(f)
	switch f.Header.Type {
	case frame.TypeData:
		l.data(f)
	case frame.TypeHeaders:
		l.headers(f)
	case frame.TypeContinuation:
		l.fields(f)
	case frame.TypePushPromise:
		l.promise(f)
	case frame.TypeRSTStream:
		l.reset(f)
	case frame.TypeSettings:
		l.settings(f)
	case frame.TypePing:
		l.ping(f)
	case frame.TypeWindowUpdate:
		l.windowUpdate(f)
	default: // of no concern to windows
	}
	l.saw(f)
}

// open makes a stream. The result is nil where there are too many.
func (l *ledger) open(id uint32, t time.Time) *ledgerStream {
	if n := l.streams.Len(); n >= maxLedgerStreams || !l.s.a.follow(n) {
		l.slots.known = false
		return nil
	}
	st := &ledgerStream{id: id}
	for d := range st.send {
		side := &l.senders[d]
		st.send[d].window.init(side.initial, side.initialKnown)
		st.send[d].window.check(opening{at: t})
		st.send[d].declared, st.send[d].slot = -1, -1
	}
	l.streams.Put(id, st)
	return st
}

// close is called where both sides are done with a stream.
func (l *ledger) close(st *ledgerStream, t time.Time) {
	if st.done {
		return
	}
	st.done = true
	if !st.answered && !st.requestEnd.IsZero() {
		st.wait.Server = max(t.Sub(st.requestEnd), 0)
	}
	for d := range st.send {
		l.senders[d].remove(st, Dir(d))
	}
	if st.id%2 == 1 {
		l.slots.release(t, l.senders[Client].prompt())
	}
	l.closed = append(l.closed, st)
}

// forget drops the streams that were closed by the frame before: until then waits knows them.
func (l *ledger) forget() {
	for i, st := range l.closed {
		l.streams.Delete(st.id)
		l.closed[i] = nil
	}
	l.s.a.unfollow(len(l.closed))
	l.closed = l.closed[:0]
}

// get returns a stream that is not closed.
func (l *ledger) get(id uint32) *ledgerStream {
	st, ok := l.streams.Get(id)
	if !ok || st.done {
		return nil
	}
	return st
}

// waits is what a stream has waited for. It is known from its first frame to the last, which has
// been seen.
func (l *ledger) waits(id uint32) Wait {
	if st, ok := l.streams.Get(id); ok {
		return st.wait
	}
	return Wait{}
}

// end is the last call.
func (l *ledger) end(t time.Time, how wire.How) {
	by := "end of capture"
	switch how {
	case wire.Closed:
		by = "end of the connection"
	case wire.Reset:
		by = "reset of the connection"
	case wire.Open:
	}
	l.forget()
	for _, st := range l.streams.All() {
		for d := range st.send {
			l.abandon(st, Dir(d), stallEnd{at: t, by: by})
		}
	}
	l.s.a.unfollow(l.streams.Len())
}
