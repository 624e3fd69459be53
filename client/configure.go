package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// Keys of http.Transport.TLSNextProto. The second is no ALPN name: net/http uses it to hand over cleartext connections.
const (
	protoTLS   = "h2"
	protoClear = "unencrypted_http2"
)

// Configure has t1 speak HTTP/2 with this package, over TLS and, where t1.Protocols says so, on cleartext. It must be
// called before the first request, and changes t1.TLSClientConfig and t1.TLSNextProto. net/http dials and does the proxies;
// the settings of t1 hold, its HTTP2 included. t1.NewClientConn works with it.
//
// net/http dials for every request that finds no stream free, however many wait already; what is not used for a second is
// closed again. MaxConnsPerHost of t1 bounds it.
//
// The Transport that is returned sends its requests through t1. Fields of it that net/http has not, such as PushHandler,
// may be set before the first request.
//
// Configure fails if t1 has another HTTP/2 already.
func Configure(t1 *http.Transport) (*Transport, error) {
	if t1 == nil {
		return nil, errors.New("client: Configure of a nil *http.Transport")
	}
	t := &Transport{t1: t1}
	if err := register(t1, registered{&idleCloser{t}}); err != nil {
		return nil, err
	}
	if t1.TLSClientConfig == nil {
		t1.TLSClientConfig = &tls.Config{}
	}
	for _, proto := range []string{protoTLS, "http/1.1"} {
		if !slices.Contains(t1.TLSClientConfig.NextProtos, proto) {
			t1.TLSClientConfig.NextProtos = append(slices.Clip(t1.TLSClientConfig.NextProtos), proto)
		}
	}
	if t1.TLSNextProto == nil {
		t1.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
	}
	t1.TLSNextProto[protoTLS] = func(addr string, c *tls.Conn) http.RoundTripper {
		return t.takeOver("https", addr, c)
	}
	t1.TLSNextProto[protoClear] = func(addr string, c *tls.Conn) http.RoundTripper {
		wrapped, ok := c.NetConn().(interface{ UnencryptedNetConn() net.Conn })
		if !ok {
			go c.Close() // it may block; there is nobody to wait for it
			return failedTripper{errors.New("http2: cleartext connection came without one")}
		}
		return t.takeOver("http", addr, wrapped.UnencryptedNetConn())
	}
	return t, nil
}

// register makes an error of the panic with which net/http refuses a second registration.
func register(t1 *http.Transport, rt http.RoundTripper) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("client: %v", e)
		}
	}()
	t1.RegisterProtocol("https", rt)
	return nil
}

// takeOver makes a connection that net/http has dialled part of the pool, and returns what sends requests over the pool.
func (t *Transport) takeOver(scheme, addr string, nc net.Conn) http.RoundTripper {
	t.init()
	key := Key{Scheme: scheme, Addr: addr}
	cc := t.newClientConn(nc, key)
	p := t.once.own
	if p == nil {
		_ = cc.Close()
		return failedTripper{errors.New("http2: Transport.Pool has no use with Configure")}
	}
	p.mu.Lock()
	g := p.group(&Target{Key: key, t: t})
	p.add(g, cc)
	if len(g.conns) > 1 {
		p.sweepLater()
	}
	p.mu.Unlock()
	return (*cachedTripper)(t)
}

// surplusTime is how long a connection may be that no request has used before it counts as surplus.
const surplusTime = time.Second

// sweepLater looks for surplus connections in a while. net/http dials for each request that waits, and sends all of them
// over the first connection that is there: when a hundred begin at once, a hundred connections come, and one is used.
// They are not closed at once, since requests may be on their way back to us that the others have no streams for. It is
// called with p.mu held.
func (p *pool) sweepLater() {
	if !p.sweeping {
		p.sweeping = true
		time.AfterFunc(surplusTime, p.sweep)
	}
}

// sweep closes the surplus connections, and comes again for those that are too new to be told from others.
func (p *pool) sweep() {
	p.mu.Lock()
	p.sweeping = false
	var surplus []*ClientConn
	for _, g := range p.groups {
		var unused []*ClientConn
		for _, cc := range g.conns {
			since := cc.c.IdleSince()
			switch {
			case cc.used.Load() || since.IsZero() || cc.retired.Load():
			case len(g.conns) > 1 && time.Since(since) < surplusTime:
				p.sweepLater()
			default:
				unused = append(unused, cc)
			}
		}
		if len(unused) == len(g.conns) && len(unused) > 0 {
			unused = unused[1:]
		}
		surplus = append(surplus, unused...)
	}
	p.mu.Unlock()
	for _, cc := range surplus {
		cc.retire()
	}
}

// failedTripper tells net/http that a connection could not be taken over.
type failedTripper struct{ err error }

// RoundTrip returns the error.
func (f failedTripper) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// RoundTripErr is what net/http looks for.
func (f failedTripper) RoundTripErr() error { return f.err }

// noCachedConnError tells net/http to dial.
type noCachedConnError struct{}

// IsHTTP2NoCachedConnError is what net/http looks for.
func (noCachedConnError) IsHTTP2NoCachedConnError() {}

func (noCachedConnError) Error() string { return "http2: no cached connection was available" }

// cachedTripper is a Transport that uses the connections of its pool only.
type cachedTripper Transport

// RoundTrip returns an error that has net/http dial when no connection has a free stream.
func (c *cachedTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	t := (*Transport)(c)
	t.init()
	if err := checkRequest(req); err != nil {
		closeBody(req)
		return nil, err
	}
	target, err := t.cachedTarget(req)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.roundTrip(req, target)
	return resp, awaitTimeout(req, err)
}

// cachedTarget says where a request goes for which net/http dials.
func (t *Transport) cachedTarget(req *http.Request) (*Target, error) {
	addr, err := hostPort(req.URL.Scheme, req.URL.Host)
	if err != nil {
		return nil, err
	}
	return &Target{Key: Key{Scheme: req.URL.Scheme, Addr: addr}, t: t, cached: true}, nil
}

// idleCloser is a Transport to the reflection of net/http, which wants one exported field with this one method.
type idleCloser struct{ t *Transport }

// CloseIdleConnections closes what has no request.
func (c *idleCloser) CloseIdleConnections() {
	c.t.init()
	c.t.once.pool.CloseIdleConnections()
}

// registered is what is registered with net/http for https. net/http looks for a struct with exactly one exported
// field, and for the method NewClientConn.
type registered struct{ Transport *idleCloser }

// RoundTrip sends a request over the pool, and has net/http take its usual way where that has no connection.
func (r registered) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := (*cachedTripper)(r.Transport.t).RoundTrip(req)
	if errors.Is(err, noCachedConnError{}) {
		return nil, http.ErrSkipAltProtocol
	}
	return resp, err
}

// NewClientConn makes what http.Transport.NewClientConn returns.
func (r registered) NewClientConn(nc net.Conn, stateHook func()) (http.RoundTripper, error) {
	cc, err := r.Transport.t.NewClientConn(nc)
	if err != nil {
		return nil, err
	}
	cc.SetStateHook(func(*ClientConn) { stateHook() })
	return netHTTPConn{cc}, nil
}

// netHTTPConn is a ClientConn as net/http wants it.
type netHTTPConn struct{ cc *ClientConn }

// RoundTrip waits for a free stream where none was reserved.
func (c netHTTPConn) RoundTrip(req *http.Request) (*http.Response, error) { return c.cc.RoundTrip(req) }

// Close closes the connection.
func (c netHTTPConn) Close() error { return c.cc.Close() }

// Err tells why no requests are taken any more.
func (c netHTTPConn) Err() error { return c.cc.State().Err }

// Reserve takes a stream.
func (c netHTTPConn) Reserve() error { return c.cc.Reserve() }

// Release gives it back.
func (c netHTTPConn) Release() { c.cc.Release() }

// Available counts the streams that could be opened.
func (c netHTTPConn) Available() int { return c.cc.State().Available }

// InFlight counts those that are open or reserved.
func (c netHTTPConn) InFlight() int { return c.cc.State().InFlight }

// errNoCached is what Pool.Get of our own returns for a request that must not dial.
// net/http wants this very type, not one that wraps it.
var errNoCached error = noCachedConnError{}
