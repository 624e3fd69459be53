package client

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/conn"
)

// maxCoalescedOrigins bounds the origins that one connection may be used for beside its own.
const maxCoalescedOrigins = 256

// onOrigin takes an ORIGIN frame (RFC 8336). Only origins that the server's certificate is valid
// for count, and only where that was verified: a server may name any origin.
func (cc *ClientConn) onOrigin(_ *conn.Client, list []string) {
	var keys []Key
	for _, o := range list {
		if key, ok := cc.authoritativeKey(o); ok && key != cc.key {
			keys = append(keys, key)
		}
	}
	cc.mu.Lock()
	for _, key := range keys {
		if len(cc.mu.coalescedOrigins) < maxCoalescedOrigins && !slices.Contains(cc.mu.coalescedOrigins, key) {
			cc.mu.coalescedOrigins = append(cc.mu.coalescedOrigins, key)
		}
	}
	cc.mu.Unlock()
	cc.t.once.ownPool.addOrigins(cc)
}

// authoritativeKey returns the key of an origin for which the server has shown a certificate (RFC
// 9110 §4.3.3), and false without one.
func (cc *ClientConn) authoritativeKey(origin string) (Key, bool) {
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

// coalesces reports whether connections are shared by origins.
func (t *Transport) coalesces() bool { return t.Coalesce && t.once.ownPool != nil && t.t1 == nil }

// addOrigins has a connection of the pool used for its coalesced origins.
func (p *pool) addOrigins(cc *ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addOriginsLocked(cc)
}

// addOriginsLocked is addOrigins with p.mu held.
func (p *pool) addOriginsLocked(cc *ClientConn) {
	if cc.poolHook.Load() == nil || cc.key.Proxy != "" || cc.retired.Load() || cc.c.Err() != nil {
		return // addLocked will call this again, or the connection takes no more requests
	}
	cc.mu.Lock()
	keys := slices.Clone(cc.mu.coalescedOrigins)
	cc.mu.Unlock()
	for _, key := range keys {
		if !slices.Contains(p.coalesced[key], cc) {
			if p.coalesced == nil {
				p.coalesced = make(map[Key][]*ClientConn)
			}
			p.coalesced[key] = append(p.coalesced[key], cc)
		}
	}
}

// removeOrigin is called after a 421: the server does not answer for a key that it has named
// (RFC 8336 §2.3).
func (p *pool) removeOrigin(cc *ClientConn, key Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeOriginLocked(cc, key)
	cc.mu.Lock()
	cc.mu.coalescedOrigins = slices.DeleteFunc(cc.mu.coalescedOrigins, func(have Key) bool { return have == key })
	cc.mu.Unlock()
}

// removeOriginLocked has a connection no longer used for the key of another origin.
func (p *pool) removeOriginLocked(cc *ClientConn, key Key) {
	list := slices.DeleteFunc(slices.Clone(p.coalesced[key]), func(have *ClientConn) bool { return have == cc })
	if len(list) == 0 {
		delete(p.coalesced, key)
	} else {
		p.coalesced[key] = list
	}
}

// reserveCoalescedLocked reserves a stream on a connection to another origin whose server has said
// that it answers for this one, nil where there is none.
func (p *pool) reserveCoalescedLocked(target *Target, initialMax int) *ClientConn {
	if target.ownConn || target.proxy != nil {
		return nil
	}
	for _, cc := range p.coalesced[target.Key] {
		if cc.reserveSlot(initialMax) == nil {
			return cc
		}
	}
	return nil
}

// misdirected is the response of a server that does not answer for an origin that it has named (RFC
// 9110 §15.5.20). It is an error between attempt and roundTrip.
type misdirected struct {
	x    *exchange
	resp *http.Response
}

func (*misdirected) Error() string { return "http2: 421 Misdirected Request on a shared connection" }

// retryOnOwnConn returns the body for another attempt, on a connection of the origin's own. It is
// false where the request cannot be sent again, so that the caller gets the 421.
func (m *misdirected) retryOnOwnConn(req *http.Request, body *replayBody) (next *replayBody, ok bool) {
	if body != nil {
		var err error
		if next, err = body.forRetry(req); err != nil {
			m.x.markFinal()
			m.x.stopUpload()
			return nil, false
		}
	}
	_ = m.resp.Body.Close()
	return next, true
}
