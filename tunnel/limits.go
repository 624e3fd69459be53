package tunnel

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/server"
)

// proxyState is what a Proxy keeps while it serves.
type proxyState struct {
	once   sync.Once
	closed context.Context // done when what still runs is to be cut off
	close  context.CancelFunc

	draining chan struct{} // closed when a drain begins
	via      string        // in Via, tells this Proxy from others

	forward   forwarder
	upstreams upstreams

	webSocket webSocketMemory

	// startTimer starts the timer of an idle or age limit; nil: time.AfterFunc. Tests have limits
	// wait for what is to come before.
	startTimer func(d time.Duration, f func()) timer

	mu        sync.Mutex    // guards what follows
	drained   chan struct{} // closed when nothing runs any more; nil before a drain
	recording int           // requests that have left, and whose records are being written
	perUser   map[string]int
	perConn   map[*conn.Conn]int
	stats     Stats
}

// Stats are counters of a Proxy.
type Stats struct {
	Tunnels  uint64 // that were asked for and not refused before the target was looked for
	Open     int    // tunnels that are open now
	Requests uint64 // that are not for tunnels, and were not refused before the target was looked for
	Running  int    // such requests that run now
	Refused  uint64 // that were answered by the proxy itself

	Sent     int64 // octets from clients to targets, of what has ended
	Received int64 // octets from targets to clients, of what has ended
}

// Stats returns the counters so far.
func (p *Proxy) Stats() Stats {
	st := p.init()
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.stats
}

// init returns the state, which it makes once.
func (p *Proxy) init() *proxyState {
	st := &p.state
	st.once.Do(func() {
		st.draining = make(chan struct{})
		st.closed, st.close = context.WithCancel(context.Background())
		st.perUser, st.perConn = make(map[string]int), make(map[*conn.Conn]int)
		st.via = newPseudonym(p.name())
	})
	return st
}

// timer is a *time.Timer, as far as a limit needs it.
type timer interface {
	Reset(d time.Duration) bool
	Stop() bool
}

// afterFunc calls f in a goroutine of its own when a limit of d is over.
func (p *Proxy) afterFunc(d time.Duration, f func()) timer {
	if start := p.init().startTimer; start != nil {
		return start(d, f)
	}
	return time.AfterFunc(d, f)
}

// hold is a place within the limits.
type hold struct {
	tunnel bool
	user   string
	conn   *conn.Conn
}

// enter takes a place within the limits. A limit of the client's own making is answered with 429:
// the proxy is well, and 503 would have clients take another one for everything.
func (p *Proxy) enter(x *request) (*hold, error) {
	h := &hold{tunnel: x.kind != KindRequest}
	if h.tunnel && p.MaxTunnelsPerUser > 0 {
		h.user = limitKey(x.target)
	}
	if h.tunnel && p.MaxTunnelsPerConn > 0 && x.w != nil {
		info, _ := server.InfoOf(x.w)
		h.conn = info.Conn
	}
	st := p.init()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.drained != nil {
		return nil, &Refusal{
			Status: http.StatusServiceUnavailable, Type: typeUnavailable,
			Details: "the proxy shuts down", Header: http.Header{"Retry-After": {"1"}},
		}
	}
	if h.user != "" && st.perUser[h.user] >= p.MaxTunnelsPerUser {
		return nil, tooMany(h.user, p.MaxTunnelsPerUser)
	}
	if h.conn != nil && st.perConn[h.conn] >= p.MaxTunnelsPerConn {
		return nil, tooMany("the connection", p.MaxTunnelsPerConn)
	}
	if h.user != "" {
		st.perUser[h.user]++
	}
	if h.conn != nil {
		st.perConn[h.conn]++
	}
	if h.tunnel {
		st.stats.Tunnels++
		st.stats.Open++
	} else {
		st.stats.Requests++
		st.stats.Running++
	}
	return h, nil
}

// limitKey returns what the tunnels of a user are counted by. A client without a user counts with
// its IPv6 network: one client has a whole /64 (RFC 4291 §2.5.1).
func limitKey(t *Target) string {
	if addr := t.Client.Addr(); t.User == "" && addr.Is6() && !addr.Is4In6() && !addr.IsLoopback() {
		network, _ := addr.Prefix(64) // fails for more than 128 bits only
		return "client " + network.String()
	}
	return userKey(t)
}

// tooMany is the Refusal of a tunnel over a limit.
func tooMany(of string, limit int) *Refusal {
	return &Refusal{
		Status: http.StatusTooManyRequests, Type: typeLimit,
		Details: fmt.Sprintf("%s has %d tunnels, which is the limit", of, limit),
	}
}

// leave gives a place back; h is nil for a request that has got none. The caller calls recorded
// when the record has been written.
func (p *Proxy) leave(h *hold, rec *Record) {
	st := p.init()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.recording++
	if rec.End == EndRefused {
		st.stats.Refused++
	}
	st.stats.Sent += rec.Sent
	st.stats.Received += rec.Received
	if h == nil {
		return
	}
	if h.user != "" {
		if st.perUser[h.user]--; st.perUser[h.user] == 0 {
			delete(st.perUser, h.user)
		}
	}
	if h.conn != nil {
		if st.perConn[h.conn]--; st.perConn[h.conn] == 0 {
			delete(st.perConn, h.conn)
		}
	}
	if h.tunnel {
		st.stats.Open--
	} else {
		st.stats.Running--
	}
}

// recorded is called when the record of a request that has left has been written.
func (p *Proxy) recorded() {
	st := p.init()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.recording--
	st.tellDrainedLocked()
}

// tellDrainedLocked wakes Shutdown when nothing runs any more.
func (st *proxyState) tellDrainedLocked() {
	if st.drained == nil || st.stats.Open+st.stats.Running > 0 || st.recording > 0 {
		return
	}
	select {
	case <-st.drained:
	default:
		close(st.drained)
	}
}
