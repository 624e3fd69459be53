package server

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/httpfield"
)

// errPushQueue: handlers are too far behind for more requests.
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
	fields, err := x.promise(target, opts)
	if err != nil {
		return err
	}
	return x.push(fields)
}

// push promises a request and hands it to the dispatcher.
func (x *exchange) push(fields []core.Field) error {
	if !x.sc.d.hasRoom() {
		return errPushQueue
	}
	s, err := x.s.Push(fields)
	if err != nil {
		return pushError(err)
	}
	x.sc.d.add([]*conn.Stream{s}) // whether it fits was asked before, about as many at once as there are handlers
	x.sc.d.outputPending()
	return nil
}

// pushError puts in net/http's words why nothing can be pushed.
func pushError(err error) error {
	if errors.Is(err, core.ErrPushDisabled) || errors.Is(err, core.ErrPushParent) {
		return http.ErrNotSupported
	}
	return err
}

// promise makes the header section of a request that is to be pushed, by the rules of net/http.
func (x *exchange) promise(target string, opts *http.PushOptions) ([]core.Field, error) {
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
	case u.Scheme != "" && !sameAuthority(u.Host, x.req.Host, scheme):
		// What the server may speak for beside the authority that it was asked for, only its
		// certificate says, which is not known here (RFC 9113 §10.1).
		return nil, fmt.Errorf("cannot push for %q from a request for %q", u.Host, x.req.Host)
	}
	return appendPromised(x.promised(method, u.RequestURI(), len(opts.Header)), opts.Header)
}

// promised begins the header section of a request that is to be pushed, with room for some fields
// more.
func (x *exchange) promised(method, path string, more int) []core.Field {
	return append(make([]core.Field, 0, 4+more),
		core.Field{Name: ":method", Value: method},
		core.Field{Name: ":scheme", Value: x.scheme()},
		core.Field{Name: ":authority", Value: x.req.Host},
		core.Field{Name: ":path", Value: path})
}

// scheme is that of the request's URL.
func (x *exchange) scheme() string {
	if x.req.TLS != nil {
		return "https"
	}
	return "http"
}

// appendPromised appends the header of a request that is to be pushed.
func appendPromised(fields []core.Field, h http.Header) ([]core.Field, error) {
	for key, values := range h {
		name := httpfield.ByKey(key)
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
			fields[n].Sensitive = name.Meaning == httpfield.Credentials
		}
	}
	return fields, nil
}

// neverPromised tells whether a field belongs to a body or to the connection: a request that is
// promised has no body, and its host is that of its URL.
func neverPromised(name *httpfield.Name) bool {
	switch name.Meaning {
	case httpfield.Host,
		httpfield.Expect,
		httpfield.Trailer,
		httpfield.TE,
		httpfield.Connection,
		httpfield.ConnectionSpecific,
		httpfield.ContentLength,
		httpfield.ContentEncoding:
		return true
	default:
		return false
	}
}

// sameAuthority compares two authorities of one scheme (RFC 9110 §4.2.3).
func sameAuthority(a, b, scheme string) bool {
	return strings.EqualFold(withPort(a, scheme), withPort(b, scheme))
}

func withPort(authority, scheme string) string {
	u := url.URL{Host: authority}
	switch {
	case u.Port() != "":
		return authority
	case scheme == "https":
		return strings.TrimSuffix(authority, ":") + ":443"
	default:
		return strings.TrimSuffix(authority, ":") + ":80"
	}
}
