package client

import (
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
)

// makeResponse fills in the response as net/http does.
func (x *exchange) makeResponse(head conn.ResponseHead) {
	r := &x.resp
	r.Status = statusText(head.Status)
	r.StatusCode = head.Status
	r.Proto, r.ProtoMajor = "HTTP/2.0", 2
	r.Header = makeHeader(head.Fields, &r.Trailer)
	r.Request = x.req
	r.TLS = x.cc.tls
	r.ContentLength = head.ContentLength
	isHead := x.req.Method == http.MethodHead
	if head.NoBody && !isHead && len(r.Header["Content-Length"]) == 0 {
		r.ContentLength = 0
	}
	if head.NoBody || isHead {
		r.Body = http.NoBody
		x.body.x = x
		switch {
		case !head.NoBody:
			r.Body = &x.body // its Read waits for the end of the stream
		case head.Status < 300 && x.isUploading():
			x.body.end = io.EOF
			r.Body = &x.body // its Close ends the upload
		}
		return
	}
	x.body.x = x
	r.Body = &x.body
	if x.gzip && strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") {
		r.Header.Del("Content-Encoding")
		r.Header.Del("Content-Length")
		r.ContentLength = -1
		r.Uncompressed = true
		r.Body = &gzipBody{body: &x.body}
	}
}

// isUploading reports whether the request is still being sent.
func (x *exchange) isUploading() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.upload != nil && !x.mu.uploadEnded
}

// statusText returns the Status of a response. HTTP/2 has no reason phrase (RFC 9113 §8.3.2).
func statusText(code int) string {
	if code == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(code) + " " + http.StatusText(code)
}

// makeHeader makes a header map. The slices of its values are cut from one array, with their
// capacity clamped so that appending to one does not write into the next. Keys that Trailer
// announces go to trailer, where that is not nil.
func makeHeader(fields []header.Field, trailer *http.Header) http.Header {
	h := make(http.Header, len(fields))
	values := make([]string, len(fields))
	for i := range fields {
		f := &fields[i]
		name := header.ByLower(f.Name)
		if name.Meaning == header.Trailer && trailer != nil {
			announceTrailers(trailer, f.Value)
			continue
		}
		if have, ok := h[name.Canon]; ok {
			h[name.Canon] = append(have, f.Value)
			continue
		}
		values[0] = f.Value
		h[name.Canon] = values[:1:1]
		values = values[1:]
	}
	return h
}

// announceTrailers adds the keys that a Trailer field lists to *trailer.
func announceTrailers(trailer *http.Header, v string) {
	if *trailer == nil {
		*trailer = make(http.Header)
	}
	for key := range strings.SplitSeq(v, ",") {
		if key = textproto.TrimString(key); key != "" {
			(*trailer)[http.CanonicalHeaderKey(key)] = nil
		}
	}
}
