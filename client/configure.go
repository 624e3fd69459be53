package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/internal/alpn"
)

// Keys of http.Transport.TLSNextProto. The second is no ALPN name: net/http uses it to hand over
// cleartext connections.
const (
	protoTLS   = "h2"
	protoClear = "unencrypted_http2"
)

// Configure has t1 speak HTTP/2 with this package, over TLS and, where t1.Protocols says so, on
// cleartext. It must be called before the first request, and changes t1.TLSClientConfig and
// t1.TLSNextProto. net/http dials and handles proxies; the settings of t1 apply, its HTTP2
// included. t1.NewClientConn works with it.
//
// net/http dials for every request that finds no stream free, however many wait already; a new
// connection that no request uses for a quarter of a second is closed again. MaxConnsPerHost of t1
// bounds them.
//
// A connection serves the requests for which net/http would use it: those of the http.Transport
// that has dialled it, to its host, through its proxy. So t1.Clone and t1 share no connection, nor
// do requests through different proxies. Clones speak HTTP/2 with this package, too.
// CloseIdleConnections of t1 closes their idle connections with its own. CloseIdleConnections of a
// clone has its connections not used again, and they are closed after IdleConnTimeout.
//
// The Transport that is returned sends its requests through t1. Its fields that an http.Transport
// does not have, such as PushHandler, may be set before the first request. t1.Protocols must be set
// before Configure.
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
	t1.TLSClientConfig.NextProtos = alpn.Adjust(t1.TLSClientConfig.NextProtos, t.protocols())
	if t1.TLSNextProto == nil {
		t1.TLSNextProto = make(map[string]func(string, *tls.Conn) http.RoundTripper)
	}
	t1.TLSNextProto[protoTLS] = func(addr string, c *tls.Conn) http.RoundTripper {
		return t.takeOver("https", addr, c)
	}
	t1.TLSNextProto[protoClear] = func(addr string, c *tls.Conn) http.RoundTripper {
		wrapped, ok := c.NetConn().(interface{ UnencryptedNetConn() net.Conn })
		if !ok {
			go c.Close() // ends when Close returns, which may wait
			return failedTripper{errors.New("http2: cleartext connection came without one")}
		}
		return t.takeOver("http", addr, wrapped.UnencryptedNetConn())
	}
	return t, nil
}

// register registers rt with t1, and makes an error of the panic with which net/http refuses a
// second registration.
func register(t1 *http.Transport, rt http.RoundTripper) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("client: %v", e)
		}
	}()
	t1.RegisterProtocol("https", rt)
	return nil
}

// failedTripper says to net/http that a connection could not be taken over.
type failedTripper struct{ err error }

// RoundTrip returns the error.
func (f failedTripper) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// RoundTripErr is the method by which net/http finds the error.
func (f failedTripper) RoundTripErr() error { return f.err }

// noCachedConnError is the error that has net/http dial.
type noCachedConnError struct{}

// IsHTTP2NoCachedConnError is the method by which net/http knows the error.
func (noCachedConnError) IsHTTP2NoCachedConnError() {}

func (noCachedConnError) Error() string { return "http2: no cached connection was available" }

// idleCloser is what net/http finds of a Transport by reflection: it wants one exported field with
// this one method.
type idleCloser struct{ t *Transport }

// CloseIdleConnections closes what has no request.
func (c *idleCloser) CloseIdleConnections() {
	c.t.init()
	c.t.once.pool.CloseIdleConnections()
}

// registered is what is registered with net/http for https. net/http looks for a struct with
// exactly one exported field, and for the method NewClientConn.
type registered struct{ Transport *idleCloser }

// RoundTrip leaves the request to net/http, which knows the connections that are its own: see
// handedOver.
func (r registered) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, http.ErrSkipAltProtocol
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

// netHTTPConn is a ClientConn with the methods that net/http wants.
type netHTTPConn struct{ cc *ClientConn }

// RoundTrip waits for a free stream where none was reserved.
func (c netHTTPConn) RoundTrip(req *http.Request) (*http.Response, error) { return c.cc.RoundTrip(req) }

// Close closes the connection.
func (c netHTTPConn) Close() error { return c.cc.Close() }

// Err returns why no requests are taken any more.
func (c netHTTPConn) Err() error { return c.cc.State().Err }

// Reserve takes a stream.
func (c netHTTPConn) Reserve() error { return c.cc.Reserve() }

// Release gives back what Reserve has taken.
func (c netHTTPConn) Release() { c.cc.Release() }

// Available counts the streams that could be opened.
func (c netHTTPConn) Available() int { return c.cc.State().Available }

// InFlight counts the streams that are open or reserved.
func (c netHTTPConn) InFlight() int { return c.cc.State().InFlight }

// errNoCached is what Get of the Transport's own pool returns for a request that must not dial.
// net/http wants this very type, not one that wraps it.
var errNoCached error = noCachedConnError{}
