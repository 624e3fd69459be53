package client

import (
	"cmp"
	"container/list"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/frame"
)

const (
	defaultPushResponses = 100
	defaultPushBytes     = 16 << 20
	defaultPushAge       = time.Minute
)

// PushCache keeps what servers push until a request asks for it. A Transport with one accepts
// pushes; a GET or HEAD for the same URL, with a header that matches that of the promise, is then
// answered with the pushed response, without being sent (RFC 9113 §8.4.2). A response is handed out
// once, also while it still arrives. What no request asks for in time is cancelled and dropped, and
// so is what its connection leaves behind when it closes. The zero value is ready to use. It
// belongs to one Transport, whose certificates and proxies it relies on.
//
// It is no cache in the sense of RFC 9111: nothing is kept for a second request.
type PushCache struct {
	// MaxResponses bounds the responses and promises that are kept. The oldest are dropped first.
	// Default 100.
	MaxResponses int

	// MaxBytes bounds the octets of their bodies that have arrived, each of which is bounded by its
	// stream's receive window. The oldest are dropped first. Default 16 MiB.
	MaxBytes int64

	// MaxAge is how long a push is kept from its promise on. Default 1 minute.
	MaxAge time.Duration

	mu       sync.Mutex // guards all below
	entries  map[pushKey]*pushEntry
	order    list.List // of *pushEntry, the oldest first
	bytes    int64
	timer    *time.Timer
	timerSet bool
	stats    PushCacheStats
}

// PushCacheStats are counters of a PushCache.
type PushCacheStats struct {
	Responses  int    // pushes that are kept now, promises included
	Bytes      int64  // octets of kept bodies that have arrived
	Stored     uint64 // pushes so far
	Matched    uint64 // of the pushes, those that have answered a request
	Mismatched uint64 // of the pushes, those whose response did not match the request that asked: it was sent
	Dropped    uint64 // of the pushes, those that no request has asked for
}

// Stats returns the counters so far.
func (c *PushCache) Stats() PushCacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Responses, s.Bytes = len(c.entries), c.bytes
	return s
}

// pushKey is what a request and a promise must have in common. The authority has a port.
type pushKey struct {
	method, scheme, authority, path string
}

// pushEntry is one push. What changes is guarded by PushCache.mu.
type pushEntry struct {
	key     pushKey
	x       *exchange // used by the goroutine that has taken the entry out, and between enter and leave
	expires time.Time

	element *list.Element // nil while the entry is not in the cache
	size    int64         // octets of the body that have arrived
	ended   bool          // the stream has ended early
}

// store takes a push. It does not block.
func (c *PushCache) store(x *exchange) {
	key, ok := requestKey(x.req)
	if !ok || !x.enter() {
		x.cancelPush()
		return
	}
	defer x.leave() // keeps the stream for this call, though another goroutine may take the entry
	e := &pushEntry{key: key, x: x, expires: time.Now().Add(cmp.Or(c.MaxAge, defaultPushAge))}
	x.stream.OnEnd(func(error) { c.pushEnded(e) })
	c.bodyGrew(e, x.stream.OnReceive(func(n int) { c.bodyGrew(e, n) }))

	c.mu.Lock()
	c.stats.Stored++
	var out []*pushEntry
	select {
	case <-x.cc.c.Done(): // connEnded has been called and will not drop it
		e.ended = true
	default:
	}
	if e.ended || c.tooLargeLocked(e) {
		c.stats.Dropped++
		out = append(out, e)
	} else {
		if old := c.entries[key]; old != nil {
			out = append(out, c.dropLocked(old)) // a newer promise is worth more
		}
		if c.entries == nil {
			c.entries = make(map[pushKey]*pushEntry)
		}
		c.entries[key] = e
		e.element = c.order.PushBack(e)
		c.bytes += e.size
		out = append(out, c.evictLocked()...)
		c.armTimerLocked()
	}
	c.mu.Unlock()
	cancelAll(out)
}

// tooLargeLocked reports whether a push alone exceeds MaxBytes, so that the others may stay.
func (c *PushCache) tooLargeLocked(e *pushEntry) bool {
	return e.size > cmp.Or(c.MaxBytes, defaultPushBytes)
}

// evictLocked takes out the oldest entries beyond the bounds.
func (c *PushCache) evictLocked() (out []*pushEntry) {
	maxResponses, maxBytes := cmp.Or(c.MaxResponses, defaultPushResponses), cmp.Or(c.MaxBytes, defaultPushBytes)
	for len(c.entries) > max(maxResponses, 0) || c.bytes > maxBytes && len(c.entries) > 0 {
		out = append(out, c.dropLocked(c.order.Front().Value.(*pushEntry)))
	}
	return out
}

// takeLocked takes an entry out. The caller may use its exchange then.
func (c *PushCache) takeLocked(e *pushEntry) *pushEntry {
	delete(c.entries, e.key)
	c.order.Remove(e.element)
	e.element = nil
	c.bytes -= e.size
	return e
}

// dropLocked is takeLocked for an entry that is to be cancelled.
func (c *PushCache) dropLocked(e *pushEntry) *pushEntry {
	c.stats.Dropped++
	return c.takeLocked(e)
}

// cancelAll ends pushes that were taken out. It is called without the lock.
func cancelAll(list []*pushEntry) {
	for _, e := range list {
		e.x.cancelPush()
	}
}

// cancelPush ends a push that is not used.
func (x *exchange) cancelPush() {
	x.stream.Reset(frame.Cancel)
	x.finish()
}

// bodyGrew is called by conn with the number of octets that have arrived.
func (c *PushCache) bodyGrew(e *pushEntry, n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	e.size += int64(n)
	var out []*pushEntry
	if e.element != nil {
		c.bytes += int64(n)
		if c.tooLargeLocked(e) {
			out = append(out, c.dropLocked(e))
		}
		out = append(out, c.evictLocked()...)
	}
	c.mu.Unlock()
	cancelAll(out)
}

// pushEnded is called by conn when a pushed stream has ended early.
func (c *PushCache) pushEnded(e *pushEntry) {
	c.mu.Lock()
	e.ended = true
	var out []*pushEntry
	if e.element != nil {
		out = append(out, c.dropLocked(e))
	}
	c.mu.Unlock()
	cancelAll(out)
}

// connEnded drops what a connection has pushed, or all for nil. It is called when nothing more
// comes from that connection.
func (c *PushCache) connEnded(cc *ClientConn) {
	c.mu.Lock()
	var out []*pushEntry
	for _, e := range c.entries {
		if cc == nil || e.x.cc == cc {
			out = append(out, c.dropLocked(e))
		}
	}
	c.mu.Unlock()
	cancelAll(out)
}

// armTimerLocked has expire called when the oldest entry is too old.
func (c *PushCache) armTimerLocked() {
	front := c.order.Front()
	if c.timerSet || front == nil {
		return
	}
	c.timerSet = true
	wait := time.Until(front.Value.(*pushEntry).expires)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.expire)
	} else {
		c.timer.Reset(wait)
	}
}

// expire drops what is too old.
func (c *PushCache) expire() {
	c.mu.Lock()
	c.timerSet = false
	var out []*pushEntry
	now := time.Now()
	for f := c.order.Front(); f != nil && !f.Value.(*pushEntry).expires.After(now); f = c.order.Front() {
		out = append(out, c.dropLocked(f.Value.(*pushEntry)))
	}
	c.armTimerLocked()
	c.mu.Unlock()
	cancelAll(out)
}

// requestKey returns the key of a request, and whether a push could answer it.
func requestKey(req *http.Request) (key pushKey, ok bool) {
	key = pushKey{method: cmp.Or(req.Method, http.MethodGet), scheme: req.URL.Scheme, path: req.URL.RequestURI()}
	if key.method != http.MethodGet && key.method != http.MethodHead || req.Body != nil && req.Body != http.NoBody {
		return key, false
	}
	host, err := requestHost(req)
	if err != nil {
		return key, false
	}
	if key.authority, err = hostPort(key.scheme, strings.ToLower(host)); err != nil {
		return key, false
	}
	return key, true
}
