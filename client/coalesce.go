package client

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/conn"
)

// maxClaims bounds the origins that one connection may be used for beside its own.
const maxClaims = 256

// origins takes what the server says with ORIGIN (RFC 8336). Only what its certificate is valid for
// counts, and only where that was verified: a server may name whom it likes.
func (cc *ClientConn) origins(_ *conn.Conn, list []string) {
	var keys []Key
	for _, o := range list {
		if key, ok := cc.authority(o); ok && key != cc.key {
			keys = append(keys, key)
		}
	}
	cc.mu.Lock()
	for _, key := range keys {
		if len(cc.claims) < maxClaims && !slices.Contains(cc.claims, key) {
			cc.claims = append(cc.claims, key)
		}
	}
	cc.mu.Unlock()
	cc.t.once.own.claim(cc)
}

// authority returns the key of an origin for which the server has shown a certificate (RFC 9110
// §4.3.3).
func (cc *ClientConn) authority(origin string) (Key, bool) {
	u, err := url.Parse(strings.ToLower(origin))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" ||
		u.Fragment != "" {
		return Key{}, false
	}
	addr, err := hostPort(u.Scheme, u.Host)
	if err != nil {
		return Key{}, false
	}
	key := Key{Scheme: u.Scheme, Addr: addr}
	if key == cc.key {
		return key, true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || cc.tls == nil || len(cc.tls.VerifiedChains) == 0 || len(cc.tls.PeerCertificates) == 0 {
		return Key{}, false
	}
	return key, cc.tls.PeerCertificates[0].VerifyHostname(host) == nil
}

// coalesces tells whether connections are shared by origins.
func (t *Transport) coalesces() bool { return t.Coalesce && t.once.own != nil && t.t1 == nil }

// claim notes for which further keys a connection that is in the pool may be used.
func (p *pool) claim(cc *ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claimLocked(cc)
}

func (p *pool) claimLocked(cc *ClientConn) {
	if cc.pooled.Load() == nil || cc.key.Proxy != "" || cc.retired.Load() || cc.c.Err() != nil {
		return // add comes back to it, or it is on its way out
	}
	cc.mu.Lock()
	keys := slices.Clone(cc.claims)
	cc.mu.Unlock()
	for _, key := range keys {
		if !slices.Contains(p.claims[key], cc) {
			if p.claims == nil {
				p.claims = make(map[Key][]*ClientConn)
			}
			p.claims[key] = append(p.claims[key], cc)
		}
	}
}

// misdirect notes that a server has not answered for a key that it has claimed (RFC 8336 §2.3).
func (p *pool) misdirect(cc *ClientConn, key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disclaim(cc, key)
	cc.mu.Lock()
	cc.claims = slices.DeleteFunc(cc.claims, func(have Key) bool { return have == key })
	cc.mu.Unlock()
}

// disclaim has a connection no longer used for another's key.
func (p *pool) disclaim(cc *ClientConn, key Key) {
	list := slices.DeleteFunc(slices.Clone(p.claims[key]), func(have *ClientConn) bool { return have == cc })
	if len(list) == 0 {
		delete(p.claims, key)
	} else {
		p.claims[key] = list
	}
}

// shared reserves a stream on a connection to another origin whose server has said that it answers
// for this one, nil where there is none. p.mu is held, at least shared.
func (p *pool) shared(target *Target, first int) *ClientConn {
	if target.own || target.proxy != nil {
		return nil
	}
	for _, cc := range p.claims[target.Key] {
		if cc.acquire(first) == nil {
			return cc
		}
	}
	return nil
}

// misdirected is the response of a server that does not answer for an origin that it has claimed
// (RFC 9110 §15.5.20).
type misdirected struct {
	x    *exchange
	resp *http.Response
}

func (*misdirected) Error() string { return "http2: 421 Misdirected Request on a shared connection" }

// alone prepares a request for a connection of its own. It is false where the request cannot be
// sent again.
func (m *misdirected) alone(req *http.Request, body *replayBody) (next *replayBody, ok bool) {
	if body != nil {
		var err error
		if next, err = body.forRetry(req); err != nil {
			m.x.settle()
			m.x.endUpload()
			return nil, false
		}
	}
	_ = m.resp.Body.Close()
	return next, true
}
