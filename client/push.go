package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/syntax"
)

// PushHandler decides about what servers push.
type PushHandler interface {
	// HandlePush decides about one push, in a goroutine of its own. A push for which neither
	// Response nor Cancel was called when it returns goes to Transport.PushCache, and is cancelled
	// where there is none.
	HandlePush(p *Push)
}

// PushHandlerFunc is a function that is a PushHandler.
type PushHandlerFunc func(p *Push)

// HandlePush calls f.
func (f PushHandlerFunc) HandlePush(p *Push) { f(p) }

// Push is a request that a server has promised to answer without being asked (RFC 9113 §8.4). It is
// GET or HEAD, without a body, and for an origin that the server may speak for.
type Push struct {
	// Request is the promised request, and Parent the one in answer to which it was promised.
	Request, Parent *http.Request

	x       *exchange
	decided atomic.Bool
}

// errPushDecided is the error of a second call of Push.Response, or of one after the push was
// cancelled.
var errPushDecided = errors.New("http2: response of a push asked for twice, or after HandlePush has returned")

// Response waits for the pushed response, whose body must be closed. The end of ctx cancels it. It
// can be called once.
func (p *Push) Response(ctx context.Context) (*http.Response, error) {
	if p.decided.Swap(true) {
		return nil, errPushDecided
	}
	p.x.watch(ctx)
	return p.x.awaitResponse()
}

// Cancel refuses the push, if Response was not called.
func (p *Push) Cancel() {
	if !p.decided.Swap(true) {
		p.x.cancelPush()
	}
}

// undecided is called when HandlePush has returned: a push that it has not decided about goes to
// the PushCache.
func (p *Push) undecided() {
	if cache := p.x.cc.t.PushCache; cache != nil && !p.decided.Swap(true) {
		cache.store(p.x)
	}
	p.Cancel()
}

// pushed takes a promise, on the goroutine that reads the socket.
func (cc *ClientConn) pushed(s *conn.Stream) {
	parent, ok := s.OpenedBy().(*exchange)
	if !ok {
		panic("BUG: promise on a stream without a request")
	}
	x := &exchange{cc: cc, stream: s}
	x.uses.Start(1)
	req, err := cc.promisedRequest(s.Promise(), parent.req)
	if err != nil {
		s.Reset(frame.ProtocolError)
		x.finish()
		return
	}
	x.req = req
	if cc.t.PushHandler == nil {
		cc.t.PushCache.store(x)
		return
	}
	p := &Push{Request: req, Parent: parent.req, x: x}
	if int(cc.pushHandlers.Add(1)) > cc.t.maxPushedStreams() {
		// More streams were promised than may be at once, because the server has reset some.
		cc.pushHandlers.Add(-1)
		s.Reset(frame.RefusedStream)
		x.finish()
		return
	}
	go func() { // ends when the PushHandler returns
		defer cc.pushHandlers.Add(-1)
		defer p.undecided()
		cc.t.PushHandler.HandlePush(p)
	}()
}

// promisedRequest returns the request of a promise, if the server may speak for its origin (RFC
// 9113 §8.4, §10.1): the origin that the connection was made for, whatever Host the parent request
// names, or one that the server's verified certificate names.
func (cc *ClientConn) promisedRequest(m *header.Message, parent *http.Request) (*http.Request, error) {
	u, err := url.ParseRequestURI(m.Path)
	if err != nil {
		return nil, err
	}
	u.Scheme, u.Host = m.Scheme, m.Authority
	promised, err := hostPort(m.Scheme, m.Authority)
	if err != nil {
		return nil, err
	}
	own := cc.key
	if own.Addr == "" { // of NewClientConn: the URL of the request names the server
		own.Scheme = parent.URL.Scheme
		if own.Addr, err = hostPort(own.Scheme, parent.URL.Host); err != nil {
			return nil, err
		}
	}
	if m.Scheme != own.Scheme || promised != own.Addr && !cc.vouchesFor(promised, own.Addr) {
		return nil, errNotAuthoritative
	}
	return &http.Request{
		Method: m.Method, URL: u, Host: m.Authority, Header: makeHeader(m.Fields, nil),
		Proto: "HTTP/2.0", ProtoMajor: 2, TLS: cc.tls,
	}, nil
}

var errNotAuthoritative = errors.New("http2: promise for an origin that the server does not speak for")

// vouchesFor reports whether the server's certificate is valid for another host on the same port.
func (cc *ClientConn) vouchesFor(promised, own string) bool {
	host, port := syntax.SplitPort(promised)
	_, ownPort := syntax.SplitPort(own)
	return port == ownPort && cc.tls != nil && len(cc.tls.VerifiedChains) > 0 &&
		cc.tls.PeerCertificates[0].VerifyHostname(host) == nil
}
