package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// lost takes note of n octets that are missing; -1 is an unknown number. Within content that is
// known to go on behind them they do no harm; else the next start line is looked for.
func (o *http1Dir) lost(t time.Time, n int64, why string) {
	switch o.state {
	case http1Close:
		o.h.content(o.x, o.d, t, nil, n)
		return
	case http1Length, http1Chunk:
		if 0 <= n && n <= o.left {
			o.left -= n
			o.h.content(o.x, o.d, t, nil, n)
			o.contentEnd(t)
			return
		}
		o.h.content(o.x, o.d, t, nil, n)
		o.h.stop(o.x, o.d)
	case http1ChunkSize, http1ChunkEnd:
		o.h.stop(o.x, o.d)
	case http1Switched:
		if !o.h.silent {
			o.h.content(o.h.over, o.d, t, nil, n)
		}
		if o.h.to != nil {
			o.h.s.flush()
			o.h.to.Lost(wire.Dir(o.d), t, n, why)
		}
		return
	case http1Wait:
		if o.size < maxHTTP1Wait && o.hold(fieldOverhead) {
			o.held = append(o.held, http1Held{t: t, lost: n, why: why})
			return
		}
		o.waited(t)
		o.lost(t, n, why)
		return
	case http1Fields, http1Trailers:
		o.head.problem("octets of it are missing")
		o.head.cut = true
		o.deliver(t)
		if o.state == http1Switched {
			o.lost(t, n, why)
			return
		}
		if o.d == Client || o.x.final {
			o.h.stop(o.x, o.d)
		}
	default:
	}
	o.skipped += o.raw
	o.line, o.long, o.raw = o.line[:0], false, 0
	o.lossy, o.state = true, http1Seek
}

// sweep gives up what side d was to send for the requests before a number. It goes on where it has
// ended, since numbers only grow: all of it together looks at each number once.
func (h *http1) sweep(d Dir, before uint32) {
	for ; h.swept[d] < before; h.swept[d]++ {
		x := h.open[h.swept[d]]
		if x == nil || d == Client && x.asked || d == Server && x.final {
			continue
		}
		h.stop(x, d)
	}
}
