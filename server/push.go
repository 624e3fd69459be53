package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/syntax"
)

// errPushQueue is returned where half of the queue of requests is full.
var errPushQueue = errors.New("server: too many requests wait for a handler to push another")

// Push promises the client a response to a request that it has not made (RFC 9113 §8.4), and has
// the server's Handler make it. target is an absolute path, or an absolute URL with the scheme and
// authority of the request. The promise goes out before what the handler writes after the call.
func (w *response) Push(target string, opts *http.PushOptions) error {
	x := w.x
	if !x.enter() {
		return errWriteAfterReturn
	}
	defer x.leave()
	if err := pushError(x.s.CanPush()); err != nil {
		return err // before anything is done for a client that takes none
	}
	if opts == nil {
		opts = new(http.PushOptions)
	}
	fields, err := x.checkPromise(target, opts)
	if err != nil {
		return err
	}
	return x.push(fields)
}

// push promises a request and hands it to the dispatcher.
func (x *exchange) push(fields []header.Field) error {
	if !x.sc.d.hasRoomForPush() {
		return errPushQueue
	}
	s, err := x.s.Push(fields)
	if err != nil {
		return pushError(err)
	}
	x.sc.d.add([]*conn.Stream{s}) // fits: as many calls as there are handlers may have passed hasRoomForPush at once
	x.sc.d.outputPending()
	return nil
}

// pushError returns the error of net/http for why nothing can be pushed.
func pushError(err error) error {
	if errors.Is(err, core.ErrPushDisabled) || errors.Is(err, core.ErrPushParent) {
		return http.ErrNotSupported
	}
	return err
}

// checkPromise makes the header section of a request that is to be pushed, by the rules of
// net/http.
func (x *exchange) checkPromise(target string, opts *http.PushOptions) ([]header.Field, error) {
	method := opts.Method
	switch method {
	case "":
		method = http.MethodGet
	case http.MethodGet, http.MethodHead:
	default:
		return nil, fmt.Errorf("method %q must be GET or HEAD", method)
	}
	scheme := x.scheme()
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	switch {
	case u.Scheme == "" && (u.Host != "" || !strings.HasPrefix(target, "/")):
		return nil, fmt.Errorf("target must be an absolute URL or an absolute path: %q", target)
	case u.Scheme != "" && u.Scheme != scheme:
		return nil, fmt.Errorf("cannot push URL with scheme %q from request with scheme %q", u.Scheme, scheme)
	case u.Scheme != "" && u.Host == "":
		return nil, errors.New("URL must have a host")
	case u.User != nil:
		return nil, errors.New("URL must not have userinfo")
	case u.Scheme != "" && !syntax.SameAuthority(scheme, u.Host, x.req.Host):
		// The server's certificate decides for which other authorities it may push, and it is not
		// known here (RFC 9113 §10.1).
		return nil, fmt.Errorf("cannot push for %q from a request for %q", u.Host, x.req.Host)
	}
	return appendPromised(x.promisedFields(method, u.RequestURI(), len(opts.Header)), opts.Header)
}

// promisedFields returns the pseudo-header fields of a request that is to be pushed, in a slice
// with room for more fields.
func (x *exchange) promisedFields(method, path string, more int) []header.Field {
	return append(make([]header.Field, 0, 4+more),
		header.Field{Name: ":method", Value: method},
		header.Field{Name: ":scheme", Value: x.scheme()},
		header.Field{Name: ":authority", Value: x.req.Host},
		header.Field{Name: ":path", Value: path})
}

// scheme returns the scheme of the request's URL.
func (x *exchange) scheme() string {
	if x.req.TLS != nil {
		return "https"
	}
	return "http"
}

// appendPromised appends the fields of h to those of a request that is to be pushed.
func appendPromised(fields []header.Field, h http.Header) ([]header.Field, error) {
	for key, values := range h {
		name := header.ByKey(key)
		switch {
		case name == nil:
			return nil, fmt.Errorf("invalid header field name %q", key)
		case neverPromised(name):
			return nil, fmt.Errorf("promised request headers cannot include %q", key)
		}
		for _, v := range values {
			n := len(fields)
			if fields = appendField(fields, name.Lower, v); len(fields) == n {
				return nil, fmt.Errorf("invalid header field value for %q", key)
			}
			fields[n].Sensitive = name.Meaning == header.Credentials
		}
	}
	return fields, nil
}

// neverPromised reports whether a field has no place in a promised request: it describes a body,
// which such a request does not have, or the connection, or names the host, which the URL does.
func neverPromised(name *header.Name) bool {
	switch name.Meaning {
	case header.Host,
		header.Expect,
		header.Trailer,
		header.TE,
		header.Connection,
		header.ConnectionSpecific,
		header.ContentLength,
		header.ContentEncoding:
		return true
	default:
		return false
	}
}
