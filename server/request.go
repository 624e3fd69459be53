package server

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// blankRequest is the request that WithContext copies.
var blankRequest http.Request

// makeRequest fills in the request and returns the handler for it: the application's, or one of
// this package where the request is to be refused.
func (x *exchange) makeRequest(m *header.Message, names *headerNames) http.Handler {
	sc, r := x.sc, &x.req
	// WithContext is the one way to set the context. The copy that it makes does not escape, so
	// nothing is allocated.
	*r = *blankRequest.WithContext((*requestContext)(x))
	r.Method = m.Method
	r.URL = &x.url
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	r.Host = m.Authority
	r.RemoteAddr = sc.remoteAddr
	r.TLS = sc.tls
	x.resp.isHead, x.resp.isConnect = m.Method == http.MethodHead, m.Method == http.MethodConnect
	h := sc.handler
	expect, early := x.makeHeader(m, names)
	if m.Method == "CONNECT" && m.Protocol == "" {
		x.url.Host = m.Authority
		r.RequestURI = m.Authority // as net/http does for HTTP/1.1
	} else {
		r.RequestURI = m.Path
		if err := parsePath(&x.url, m.Path); err != nil && !m.TooLarge {
			x.url = url.URL{}
			h = badPath
		}
		if m.Path == "*" && m.Method == http.MethodOptions && sc.answerOptions {
			h = answerOptions
		}
	}
	r.Body = http.NoBody
	if !x.s.HeadOnly() {
		x.makeBody(m)
	}
	switch {
	case m.TooLarge:
		h = tooLarge
	case early && sc.early.refuses(m.Method):
		h = tooEarly
	case expect == "":
	case strings.EqualFold(expect, "100-continue"):
		if x.is(bodyPresent) {
			x.set(bodyContinue)
		}
		delete(r.Header, "Expect")
	default:
		h = expectationFailed
	}
	if d := sc.hs.WriteTimeout; d > 0 {
		x.s.ResetAt(time.Now().Add(d), frame.InternalError)
	}
	return h
}

// makeBody sets the body of the request and what belongs to it, unless empty DATA is all that has
// followed the header.
func (x *exchange) makeBody(m *header.Message) {
	if x.s.RemoteEnded() {
		_, err := x.s.Read(nil)
		if err == io.EOF && len(x.s.Trailers()) == 0 { //nolint:errorlint // the end of a connection may wrap it
			return
		}
	}
	x.set(bodyPresent)
	x.req.Body = (*requestBody)(x)
	x.req.ContentLength = m.ContentLength
	if d := x.sc.hs.ReadTimeout; d > 0 {
		x.s.EndReadAt(time.Now().Add(d))
	}
}

// makeHeader makes the header map. The slices of its values are cut from one array, as
// net/textproto does it, with their capacity clamped so that appending to one does not write into
// the next. It returns the value of the Expect field, and whether there is an Early-Data field.
func (x *exchange) makeHeader(m *header.Message, names *headerNames) (expect string, early bool) {
	n := len(m.Fields)
	if m.Protocol != "" {
		n++
	}
	h := make(http.Header, n)
	values := make([]string, n)
	keys := 0 // the number of names in h; -1 once a name has come twice
	trailers := trailerBudget{names: maxTrailers, octets: maxTrailerOctets}
	for i := range m.Fields {
		f := &m.Fields[i]
		name := names.byLower(i, f.Name)
		switch name.Meaning {
		case header.Host:
			if x.req.Host == "" {
				x.req.Host = f.Value
			}
			continue
		case header.Trailer:
			x.declareTrailers(f.Value, &trailers)
			continue
		case header.Expect:
			expect = f.Value
		case header.EarlyData:
			early = true
		}
		values[0] = f.Value
		if keys >= 0 { // a look for the name before the store would double the time
			h[name.Canon] = values[:1:1]
			if keys++; len(h) == keys {
				values = values[1:]
				continue
			}
			keys = -1
			h[name.Canon] = []string{firstValue(m.Fields, f.Name)}
		}
		if have, ok := h[name.Canon]; ok {
			h[name.Canon] = append(have, f.Value)
			continue
		}
		h[name.Canon] = values[:1:1]
		values = values[1:]
	}
	if m.Protocol != "" {
		values[0] = m.Protocol
		h[":protocol"] = values[:1:1] // as net/http has it
	}
	x.req.Header = h
	return expect, early
}

// firstValue returns the value of the first of fields that has the name; one of them must have it.
func firstValue(fields []header.Field, name string) string {
	i := 0
	for fields[i].Name != name {
		i++
	}
	return fields[i].Value
}

// The bounds of what is read of the Trailer fields of a request. A name costs the client two
// octets, and the server a hundred; and a whole field can cost the client one, as a reference to
// HPACK's table.
const (
	maxTrailers      = 100     // names, repeated ones counted
	maxTrailerOctets = 4 << 10 // of all fields together
)

// trailerBudget is what may still be read of the Trailer fields of a request.
type trailerBudget struct{ names, octets int }

// declareTrailers makes the keys of Request.Trailer that a Trailer field announces, as far as the
// budget goes.
func (x *exchange) declareTrailers(v string, left *trailerBudget) {
	for key := range strings.SplitSeq(v, ",") {
		left.names--
		if left.octets -= len(key) + 1; left.names < 0 || left.octets < 0 {
			return
		}
		key = http.CanonicalHeaderKey(textproto.TrimString(key))
		switch key {
		case "", "Transfer-Encoding", "Trailer", "Content-Length": // cannot be trailers (RFC 9110 §6.5.1)
			continue
		}
		if x.req.Trailer == nil {
			x.req.Trailer = make(http.Header)
		}
		x.req.Trailer[key] = nil
	}
}

// Handlers that answer requests which the application's handler must not see.
var (
	tooLarge = answer(http.StatusRequestHeaderFieldsTooLarge)
	badPath  = answer(http.StatusBadRequest)
	// expectationFailed answers an expectation other than 100-continue (RFC 9110 §10.1.1).
	expectationFailed = answer(http.StatusExpectationFailed)
)

// answer returns a handler that answers with a status.
func answer(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, http.StatusText(status), status)
	})
}
