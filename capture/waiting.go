package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// waiting is what a connection has carried, in both directions, until it is known what it is. Its
// memory is that of a budget.
type waiting struct {
	budget *budget
	most   int       // octets of a direction; 0: as many as the budget has
	buf    [2][]byte // by Dir
	pieces []piece   // in the order in which they came
	losses [2][]int  // where in buf octets are missing, the first two places
	skip   [2]int    // octets at the start that are not handed on
	taken  int       // octets of the budget
	over   [2]int    // 1 + the piece that has all losses behind it, which are too many to tell apart; 0: none
}

// A piece is octets of a direction that came at one time, a loss, or an end.
type piece struct {
	d    wire.Dir
	n    int // octets
	t    time.Time
	lost int64 // octets that are missing; -1: unknown, 0: none
	why  string
	end  bool
	how  wire.How
}

// maxPieces is how many times of octets are told apart; more pieces than twice as many cannot wait.
const maxPieces = 4096

// pieceOctets is how much memory a piece takes.
const pieceOctets = 96

// take reports whether the budget has n octets more.
func (w *waiting) take(n int) bool {
	if !w.budget.take(n) {
		return false
	}
	w.taken += n
	return true
}

// add keeps octets, and reports whether there is room for them.
func (w *waiting) add(d wire.Dir, t time.Time, p []byte) bool {
	if w.most > 0 && (len(w.buf[d])+len(p) > w.most || len(w.pieces) > 2*maxPieces) {
		return false
	}
	need, joins := len(p), false
	last := len(w.pieces) - 1
	if last >= 0 {
		q := &w.pieces[last]
		joins = q.n > 0 && q.d == d && (q.t.Equal(t) || last >= maxPieces)
	}
	if !joins {
		need += pieceOctets
	}
	if !w.take(need) {
		return false
	}
	w.buf[d] = append(w.buf[d], p...)
	if joins {
		w.pieces[last].n += len(p)
	} else {
		w.pieces = append(w.pieces, piece{d: d, n: len(p), t: t})
	}
	return true
}

// Octets implements wire.Sink: those that there is no room for are lost.
func (w *waiting) Octets(d wire.Dir, t time.Time, p []byte) {
	if !w.add(d, t, p) {
		w.Lost(d, t, int64(len(p)), "too many octets wait")
	}
}

// Lost implements wire.Sink.
func (w *waiting) Lost(d wire.Dir, t time.Time, n int64, why string) {
	if len(w.pieces) > 2*maxPieces || !w.take(pieceOctets) {
		if i := w.over[d]; i > 0 {
			w.pieces[i-1].lost = -1
			return
		}
		w.over[d] = len(w.pieces) + 1
	}
	w.pieces = append(w.pieces, piece{d: d, t: t, lost: n, why: why})
	if len(w.losses[d]) < 2 {
		w.losses[d] = append(w.losses[d], len(w.buf[d]))
	}
}

// End implements wire.Sink.
func (w *waiting) End(d wire.Dir, t time.Time, how wire.How) {
	w.pieces = append(w.pieces, piece{d: d, t: t, end: true, how: how})
}

// view returns the octets of a direction up to the first loss, and false; or those behind it, and
// true, where the direction begins with a loss.
func (w *waiting) view(d wire.Dir) (b []byte, lost bool) {
	b, places := w.buf[d], w.losses[d]
	if len(places) > 0 && places[0] == 0 {
		lost, places = true, places[1:]
	}
	if len(places) > 0 {
		b = b[:places[0]]
	}
	return b[min(len(b), w.skip[d]):], lost
}

// reset forgets everything.
func (w *waiting) reset() {
	w.budget.give(w.taken)
	w.buf, w.pieces, w.taken, w.over = [2][]byte{}, nil, 0, [2]int{}
}

// replay hands everything on, and forgets it.
func (w *waiting) replay(to wire.Sink) {
	buf, pieces := w.buf, w.pieces
	w.reset()
	for _, q := range pieces {
		switch {
		case q.end:
			to.End(q.d, q.t, q.how)
		case q.lost != 0:
			to.Lost(q.d, q.t, q.lost, q.why)
		default:
			p := buf[q.d][:q.n]
			buf[q.d] = buf[q.d][q.n:]
			n := min(len(p), w.skip[q.d])
			w.skip[q.d] -= n
			if p = p[n:]; len(p) > 0 {
				to.Octets(q.d, q.t, p)
			}
		}
	}
}
