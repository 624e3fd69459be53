package proxydial

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/sluice-go/sluice/frame"
)

// maxAttempts bounds the connections on which one call of DialContext asks for its tunnel.
const maxAttempts = 4

// errAgain is the error of a request that is to be sent on another connection: the proxy has closed
// this one, or has certainly not opened a tunnel on it.
var errAgain = errors.New("the request is to be sent again")

// exchange is one call of DialContext that asks with CONNECT: a request, and others after a 407 or
// where a connection took none.
type exchange struct {
	d       *Dialer
	target  string
	udpPath string      // of the request for a tunnel for UDP, "" for TCP
	header  http.Header // of Dialer.Header, nil before it was called
	method  string      // of the next request, for Digest

	// What answerChallenge has set.

	authorization string // of the next request, "" for what is known without a challenge
	tried         bool   // a challenge was answered with credentials
	basic         string // the value of Basic that was sent last
	usedDigest    bool   // the last request had Digest
	asked         bool   // Dialer.Credentials was called
	credentials   credentials
	round         int // challenges that Dialer.Authenticate was called for
	state         any // Challenge.State
}

// run opens the tunnel.
func (x *exchange) run(ctx context.Context) (net.Conn, error) {
	if f := x.d.Header; f != nil {
		h, err := f(ctx, x.target)
		if err != nil {
			return nil, err
		}
		x.header = h
	}
	if err := checkHeader(x.header); err != nil {
		return nil, err
	}
	if x.d.Proxy.Scheme == "h2c" && x.d.Authenticate != nil {
		return nil, errHTTP1Only
	}
	for attempt := 1; ; attempt++ {
		nc, err := x.once(ctx)
		if err == nil {
			x.accepted()
			return nc, nil
		}
		var again *retryError
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, errAgain) && attempt < maxAttempts:
			continue
		case errors.As(err, &again):
			if attempt < maxAttempts {
				continue
			}
			err = again.error
		}
		var e *Error
		if errors.As(err, &e) && e.StatusCode == http.StatusProxyAuthRequired {
			x.d.forget(x.credentials)
		}
		return nil, err
	}
}

// once sends the request on one connection.
func (x *exchange) once(ctx context.Context) (net.Conn, error) {
	if x.d.Proxy.Scheme == "http" {
		nc, _, err := x.d.dialProxy(ctx)
		if err != nil {
			return nil, err
		}
		x.method = x.methodOverHTTP1()
		return x.overHTTP1(ctx, nc)
	}
	l, err := x.d.acquire(ctx)
	if err != nil {
		return nil, err
	}
	if l.c != nil {
		x.method = http.MethodConnect
		return x.overHTTP2(ctx, l)
	}
	x.method = x.methodOverHTTP1()
	return x.overHTTP1(ctx, l.nc)
}

// retryError is the error of a request that may be sent again.
type retryError struct{ error }

func (e *retryError) Unwrap() error { return e.error }

// mayRetry reports whether the request may be sent again after an error of its stream: where the
// proxy has not processed it (RFC 9113 §8.7), or where a connection was lost that was there before.
// Nothing of the tunnel was sent, so that another one does no harm.
func mayRetry(err error, reused bool) bool {
	var se *frame.StreamError
	if errors.As(err, &se) {
		return se.Initiator == frame.Remote && se.Code == frame.RefusedStream
	}
	var ce *frame.ConnError
	return reused && errors.As(err, &ce)
}

// fields returns the fields of the next request, in net/http's form.
func (x *exchange) fields() (http.Header, error) {
	h := x.header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	if len(h["Proxy-Authorization"]) > 0 {
		return h, nil
	}
	v := x.authorization
	if v == "" {
		v = x.firstAuthorization()
	}
	if v == "" {
		return h, nil
	}
	h.Set("Proxy-Authorization", v)
	return h, checkHeader(http.Header{"Proxy-Authorization": {v}})
}

// proxyStatus returns the value of Proxy-Status (RFC 9209).
func proxyStatus(h http.Header) string { return strings.Join(h["Proxy-Status"], ", ") }
