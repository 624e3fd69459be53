package client

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// handedOver is the http.RoundTripper of a connection that net/http has dialled under Configure.
// net/http keeps it in its own pool, under the proxy and host that it has dialled for, and gives it
// the requests for which the connection is right.
//
// Connections are kept in families, a group of the pool for each. A family serves the requests of
// each of its members. It begins with one connection. When that cannot take a request, net/http
// tries the same request on another of the connections that it would use for it, or dials one; then
// the families of the two are joined. So a request never reaches a connection that net/http would
// not have used for it, and one that was full is used again although net/http has forgotten it.
type handedOver struct {
	t  *Transport
	cc *ClientConn
}

// families is what a pool knows of the families. It is guarded by pool.mu.
type families struct {
	lastFamily uint64                     // the number of the family made last
	refusals   map[*http.Request]*refusal // requests that net/http is about to send elsewhere
}

// refusal is a request that a connection could not take.
type refusal struct {
	cc *ClientConn // the connection that had no free stream
	at time.Time
}

// maxRefused bounds the refusals that are recorded; for further requests no families are joined.
const maxRefused = 1000

// takeOver makes a connection that net/http has dialled part of the pool.
func (t *Transport) takeOver(scheme, addr string, nc net.Conn) http.RoundTripper {
	t.init()
	p := t.once.ownPool
	protocols := t.protocols()
	switch {
	case p == nil:
		_ = nc.Close() // the error below is what counts
		return failedTripper{errors.New("http2: Transport.Pool has no use with Configure")}
	case scheme == "https" && !protocols.HTTP2():
		_ = nc.Close() // as above
		return failedTripper{errors.New("http2: HTTP/2 was negotiated, which Transport.Protocols has not")}
	}
	p.mu.Lock()
	p.families.lastFamily++
	key := Key{Scheme: scheme, Addr: addr, family: p.families.lastFamily}
	p.mu.Unlock()
	cc := t.newClientConn(nc, Key{Scheme: scheme, Addr: addr})
	p.mu.Lock()
	cc.netHTTP.family, cc.netHTTP.identity = key, tlsIdentity(nc)
	p.addLocked(p.groupLocked(&Target{Key: key, t: t, netHTTPDials: true}), cc)
	p.scheduleReapLocked()
	p.mu.Unlock()
	return &handedOver{t, cc}
}

// RoundTrip sends a request on a connection of the family. Where none has a free stream it returns
// an error that has net/http use another connection, or dial.
func (h *handedOver) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkRequest(req); err != nil {
		closeBody(req)
		return nil, err
	}
	target := h.t.once.ownPool.familyOf(req, h.cc)
	resp, err := h.t.roundTrip(req, target)
	if errors.Is(err, noCachedConnError{}) {
		h.t.once.ownPool.recordRefusal(req, h.cc)
	}
	return resp, awaitTimeout(req, err)
}

// familyOf returns the family for a request that has come to cc, and joins it with that of the
// connection that has refused the request before.
func (p *pool) familyOf(req *http.Request, cc *ClientConn) *Target {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.families.refusals[req]; r != nil {
		delete(p.families.refusals, req)
		p.joinFamiliesLocked(r.cc, cc)
	}
	return &Target{Key: cc.netHTTP.family, t: p.t, netHTTPDials: true}
}

// recordRefusal records that cc could not take a request.
func (p *pool) recordRefusal(req *http.Request, cc *ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.families.refusals == nil {
		p.families.refusals = make(map[*http.Request]*refusal)
	}
	if len(p.families.refusals) < maxRefused {
		p.families.refusals[req] = &refusal{cc, time.Now()}
	}
	p.scheduleReapLocked()
}

// joinFamiliesLocked adds the connections of cc's family to that of old, if both reach the same
// address with the same TLS configuration. A proxy function that gives each attempt another proxy
// has net/http send one request over connections that are not alike; and a request that has failed
// may come again by a clone of the http.Transport, which has another certificate, or verifies in
// another way.
func (p *pool) joinFamiliesLocked(old, cc *ClientConn) {
	sameServer := old.addr == cc.addr && old.key == cc.key && old.netHTTP.identity == cc.netHTTP.identity
	if old.netHTTP.family == cc.netHTTP.family || !sameServer {
		return
	}
	from := p.groups[cc.netHTTP.family]
	if from == nil {
		cc.netHTTP.family = old.netHTTP.family // the family has no group any more, but net/http may still use cc
		return
	}
	to := p.groupLocked(&Target{Key: old.netHTTP.family, t: p.t, netHTTPDials: true})
	for _, c := range from.conns {
		c.netHTTP.family = to.target.Key
		c.poolHook.Store(&to.connHook)
	}
	to.conns = append(to.conns, from.conns...)
	to.waiters = append(to.waiters, from.waiters...)
	from.conns, from.waiters = nil, nil
	p.dropIfEmptyLocked(from)
	cc.netHTTP.family = to.target.Key
	for _, c := range to.conns {
		to.updateConnLocked(c) // its state may have changed before the hook was set
	}
	to.serveWaitersLocked()
}

// unusedTime is how long a new connection may be without a request before it counts as unused.
const unusedTime = 250 * time.Millisecond

// scheduleReapLocked has reapUnused called. net/http dials for each request that waits, and sends
// all of them over the first connection that is there: when a hundred begin at once, a hundred
// connections come, and one is used. They are not closed at once, since requests may come back for
// which the others have no free stream.
func (p *pool) scheduleReapLocked() {
	if !p.reapScheduled {
		p.reapScheduled = true
		time.AfterFunc(unusedTime, p.reapUnused)
	}
}

// reapUnused closes the unused connections, forgets old refusals, and is scheduled again where some
// are too new.
func (p *pool) reapUnused() {
	p.mu.Lock()
	p.reapScheduled = false
	now := time.Now()
	for req, r := range p.families.refusals {
		if now.Sub(r.at) > time.Second {
			delete(p.families.refusals, req)
		}
	}
	unused, more := p.unusedLocked(now)
	if more || len(p.families.refusals) > 0 {
		p.scheduleReapLocked()
	}
	p.mu.Unlock()
	for _, cc := range unused {
		cc.retire()
	}
}

// unusedLocked returns the connections that no request has used, but for one where its host has no
// other. more says that there are others that are not old enough.
func (p *pool) unusedLocked(now time.Time) (unneeded []*ClientConn, more bool) {
	needed := make(map[Key]bool) // hosts that have a connection
	var unused []*ClientConn
	for _, g := range p.groups {
		for _, cc := range g.conns {
			since := cc.c.IdleSince()
			switch {
			case cc.unusable():
			case cc.hadRequest.Load():
				needed[cc.key] = true
			case since.IsZero() || now.Sub(since) < unusedTime:
				more = true
			default:
				unused = append(unused, cc)
			}
		}
	}
	for _, cc := range unused {
		if needed[cc.key] {
			unneeded = append(unneeded, cc)
		} else {
			needed[cc.key] = true
		}
	}
	return unneeded, more
}
