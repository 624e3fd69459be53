package capture

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/capture/internal/hpackdec"
	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
)

// analyzer makes events from the octets, or from the frames, of connections.
type analyzer struct {
	opts    Options
	handler Handler
	ids     uint64
	held    budget           // of octets that wait, in all sessions
	tables  *hpackdec.Budget // of HPACK tables; nil: each has its own

	// Of a capture that is read; a Live has none of these.
	keys     *tlsrecord.Keys
	holdBack int    // octets that may wait for keys which come later
	twins    *twins // nil: tunnels are not followed
	nested   int    // connections in tunnels that are open

	followed     atomic.Int64 // streams that ledgers and rules know, of all connections
	requestsHeld atomic.Int64 // octets of requests that are not over yet, of all connections
}

// maxHeld is how many octets may wait, in all sessions of an analyzer together, for what follows
// them: of frames that are not whole yet, of header blocks, and of connections whose protocol is
// not known yet.
const maxHeld = 8 << 20

// budget counts what sessions hold. Those of a Live use one at the same time.
type budget struct{ used atomic.Int64 }

// take reports whether n octets more may be held, and counts them if so.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > maxHeld {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

// give takes n octets off the count.
func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// open begins a connection.
func (a *analyzer) open(client, server netip.AddrPort, t time.Time) *session {
	a.ids++
	s := &session{a: a, info: Connection{ID: a.ids, Time: t, Client: client, Server: server}}
	s.stage = newFinder(s)
	return s
}
