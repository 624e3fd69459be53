package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
)

// fieldsWithoutPush are fields of requests that ask for something else than was pushed: a part, a
// change, or an answer of now.
var fieldsWithoutPush = []string{
	"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Expect", "Pragma",
}

// mayUsePush reports whether a push may answer a request.
func mayUsePush(req *http.Request) bool {
	for _, key := range fieldsWithoutPush {
		if len(req.Header[key]) > 0 {
			return false
		}
	}
	cc := req.Header["Cache-Control"]
	return !req.Close && len(req.Trailer) == 0 && !syntax.HasToken(cc, "no-cache") && !syntax.HasToken(cc, "no-store") &&
		!syntax.HasToken(cc, "max-age=0")
}

// take takes out what was pushed for a request, by cc where that is not nil, and otherwise by a
// connection that suits target. It is nil where nothing was.
func (c *PushCache) take(req *http.Request, target *Target, cc *ClientConn) *pushEntry {
	if !mayUsePush(req) {
		return nil
	}
	key, ok := requestKey(req)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil || !e.isFor(req, target, cc) ||
		!slices.Equal(e.x.req.Header["Authorization"], req.Header["Authorization"]) {
		return nil
	}
	return c.takeLocked(e)
}

// isFor reports whether a push may answer a request: one on cc where that is set; otherwise one on
// a connection with the target's key, or on one through the same proxy that was pushed for the
// authority of the request's URL.
func (e *pushEntry) isFor(req *http.Request, target *Target, cc *ClientConn) bool {
	if cc != nil {
		return e.x.cc == cc
	}
	key := e.x.cc.key
	if key == target.Key {
		return true
	}
	named, err := hostPort(req.URL.Scheme, strings.ToLower(req.URL.Host))
	return err == nil && key.Addr != "" && key.Proxy == target.Proxy && named == e.key.authority
}

// matchPush answers a request with what was pushed for it, by cc where that is not nil. It is false
// where the request is to be sent. A pushed response that does not match the request is dropped.
func (t *Transport) matchPush(
	req *http.Request,
	target *Target,
	cc *ClientConn,
) (resp *http.Response, err error, ok bool) {
	c := t.PushCache
	e := c.take(req, target, cc)
	if e == nil {
		return nil, nil, false
	}
	ctx := req.Context()
	x := e.x
	promised := x.req
	x.req, x.gzip = req, wantsGzip(t, req)
	x.watch(ctx)
	if d := t.responseHeaderTimeout(); d > 0 {
		_ = x.stream.SetReadDeadline(time.Now().Add(d)) // fails only on a stream that has ended
	}
	resp, err = x.awaitResponse()
	matched := err == nil && matches(resp, promised)
	c.mu.Lock()
	if matched {
		c.stats.Matched++
	} else {
		c.stats.Mismatched++
	}
	c.mu.Unlock()
	switch {
	case matched:
		tracePush(x.cc, ctx)
		return resp, nil, true
	case err == nil:
		_ = resp.Body.Close() // never fails
		return nil, nil, false
	case ctx.Err() != nil || errors.Is(err, errRequestCanceled):
		return nil, err, true
	default:
		return nil, nil, false // the push has failed: the request is sent as if there had been none
	}
}

// tracePush calls the hooks for a response that was there without a request.
func tracePush(cc *ClientConn, ctx context.Context) {
	trace := httptrace.ContextClientTrace(ctx)
	cc.gotConn(trace)
	if trace != nil && trace.GotFirstResponseByte != nil {
		trace.GotFirstResponseByte()
	}
}

// matches reports whether a response that was pushed for the request promised may answer
// resp.Request (RFC 9111 §4.1).
func matches(resp *http.Response, promised *http.Request) bool {
	req := resp.Request
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && !accepts(req.Header["Accept-Encoding"], coding) {
		return false // where the body was decompressed there is no such field
	}
	for _, line := range resp.Header["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			name = http.CanonicalHeaderKey(textproto.TrimString(name))
			if name == "*" ||
				name != "" && name != "Accept-Encoding" && sentValue(req, name) != strings.Join(promised.Header[name], ", ") {
				return false
			}
		}
	}
	return true
}

// sentValue returns the value that a field of a request has when it is sent.
func sentValue(req *http.Request, name string) string {
	values, ok := req.Header[name]
	if !ok && name == "User-Agent" {
		return defaultUserAgent
	}
	return strings.Join(values, ", ")
}

// accepts reports whether a content coding is among those that Accept-Encoding fields list.
func accepts(lines []string, coding string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			name, quality, _ := strings.Cut(item, ";")
			if name = textproto.TrimString(name); (strings.EqualFold(name, coding) || name == "*") &&
				textproto.TrimString(quality) != "q=0" {
				return true
			}
		}
	}
	return false
}
