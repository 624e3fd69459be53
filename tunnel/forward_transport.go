package tunnel

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluice-go/sluice/client"
)

// Bounds of the connections that are kept for requests.
const (
	keepIdle      = 30 * time.Second
	keepPerOrigin = 64
	keepUpstream  = 512 // for all users
	maxTransports = 1000
)

// forwarder has the transports of requests that are sent on. Each user has one of its own, each
// client address where there are no users: a connection that the policy has allowed to one is no
// way for another, and an origin that knows a user by the connection does not mix them up.
type forwarder struct {
	mu       sync.Mutex // guards what follows
	byUser   map[string]*client.Transport
	upstream *client.Transport // for all: the policy decides for each request
}

// transportFor returns the transport of a request.
func (p *Proxy) transportFor(f *forward) http.RoundTripper {
	if p.Transport != nil {
		return p.Transport
	}
	fw := &p.state.forward
	fw.mu.Lock()
	defer fw.mu.Unlock()
	if f.upstream != nil {
		if fw.upstream == nil {
			fw.upstream = newTransport(keepUpstream)
			fw.upstream.TLSClientConfig, fw.upstream.DialContext = p.UpstreamTLS, p.dialForwardUpstream
			fw.upstream.Proxy = func(r *http.Request) (*url.URL, error) {
				return r.Context().Value(forwardKey{}).(*forward).upstream, nil
			}
		}
		return fw.upstream
	}
	key := userKey(f.target)
	tr := fw.byUser[key]
	if tr == nil {
		tr = newTransport(keepPerOrigin)
		tr.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
		tr.DialContext = p.dialForward
		fw.dropLocked()
		fw.byUser[key] = tr
	}
	return tr
}

// dropLocked makes room for another transport. One that is dropped goes on with the requests that
// it has.
func (fw *forwarder) dropLocked() {
	if fw.byUser == nil {
		fw.byUser = make(map[string]*client.Transport)
	}
	for key, tr := range fw.byUser {
		if len(fw.byUser) < maxTransports {
			return
		}
		delete(fw.byUser, key)
		tr.CloseIdleConnections()
	}
}

// close closes the connections that are kept.
func (fw *forwarder) close() {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	for _, tr := range fw.byUser {
		tr.CloseIdleConnections()
	}
	if fw.upstream != nil {
		fw.upstream.CloseIdleConnections()
	}
}

// newTransport returns a transport that sends what it is given, and keeps a number of connections
// to each host.
func newTransport(keep int) *client.Transport {
	tr := &client.Transport{
		DisableCompression: true, IdleConnTimeout: keepIdle, MaxIdleConnsPerHost: keep,
		ExpectContinueTimeout: time.Second, Protocols: new(http.Protocols),
	}
	tr.Protocols.SetHTTP1(true)
	return tr
}

// dialForward reaches the target of the request for which it is called.
func (p *Proxy) dialForward(ctx context.Context, _, _ string) (net.Conn, error) {
	f := ctx.Value(forwardKey{}).(*forward)
	target, rec := *f.target, new(Record) // another request may get the connection, while this one ends
	c, err := p.open(ctx, &target, rec)
	if err != nil {
		return nil, err
	}
	addr, err := netip.ParseAddrPort(rec.Addr)
	if err != nil { // it is no target's: checkTarget has chosen an upstream proxy in the meantime
		return c, nil
	}
	return &originConn{Conn: c, addr: addr.Addr()}, nil
}

// originConn is a connection for requests, to an address that the policy has allowed when it was
// dialled.
type originConn struct {
	net.Conn
	addr netip.Addr
}

// checkConn asks the policy about the address of a connection that was there before: the rules may
// have changed since. One that is not allowed any more is closed before anything is sent on it, so
// that the request gets another, or fails with denied.
func (f *forward) checkConn(ctx context.Context, nc net.Conn) {
	c, ok := nc.(*originConn)
	if !ok {
		return
	}
	rules, err := f.p.checkAddrs(ctx, f.target, []netip.Addr{c.addr})
	if f.denied = err; err != nil {
		_ = c.Close() // nothing can be done about an error
		return
	}
	f.rec.Rule = rules[c.addr]
}

// userKey returns what tells users apart.
func userKey(t *Target) string {
	if t.User != "" {
		return "user " + t.User
	}
	return "client " + t.Client.Addr().String()
}

// newPseudonym returns a name for Via (RFC 9110 §7.6.3) that no other Proxy has.
func newPseudonym(name string) string {
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	name = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return r
		}
		return '-'
	}, name)
	return name + "-" + hex.EncodeToString(id[:])
}

// checkLoop returns the Refusal of a request that this Proxy has sent on before, nil for another.
func (x *request) checkLoop() error {
	if via := x.r.Header["Via"]; len(via) == 0 || !loops(via, x.p.init().via) {
		return nil
	}
	return &Refusal{
		Status: http.StatusLoopDetected, Type: typeLoop, Details: "the request has been here before, as Via says",
	}
}

// loops reports whether a Via field names the pseudonym.
func loops(via []string, pseudonym string) bool {
	for _, v := range via {
		for entry := range strings.SplitSeq(v, ",") {
			if words := strings.Fields(entry); len(words) >= 2 && words[1] == pseudonym {
				return true
			}
		}
	}
	return false
}

// viaVersion returns the version of a request for Via.
func viaVersion(r *http.Request) string {
	if r.ProtoMajor == 2 {
		return "2"
	}
	return strings.TrimPrefix(r.Proto, "HTTP/")
}
