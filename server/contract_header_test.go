//go:build !nethttpomithttp2

package server

import (
	"io"
	"net/http"
	"testing"
)

// headerHandler is a handler that sets fields of the header map as they are, and writes a body.
func headerHandler(body string, fields http.Header) func(*transcript, http.ResponseWriter, *http.Request) {
	return func(n *transcript, w http.ResponseWriter, _ *http.Request) {
		for k, v := range fields {
			w.Header()[k] = v
		}
		if body != "" {
			_, err := io.WriteString(w, body)
			n.add("write %s", outcome(err))
		}
	}
}

// flushed is headerHandler with a Flush at the end.
func flushed(body string, fields http.Header) func(*transcript, http.ResponseWriter, *http.Request) {
	return func(n *transcript, w http.ResponseWriter, r *http.Request) {
		headerHandler(body, fields)(n, w, r)
		n.add("flush %s", outcome(http.NewResponseController(w).Flush()))
	}
}

// What is in the header map without a value, or with a strange one.
func TestContractSpecialFields(t *testing.T) {
	get := request1("GET", true, "")
	head := request1("HEAD", true, "")
	type h = http.Header
	runFrameScripts(t, []frameScript{
		{"length nil", headerHandler("<html>", h{"Content-Length": nil}), get, nil},
		{"length empty list", headerHandler("<html>", h{"Content-Length": {}}), get, nil},
		{"length nil, no body", headerHandler("", h{"Content-Length": nil}), get, nil},
		{"length nil, HEAD", headerHandler("<html>", h{"Content-Length": nil}), head, nil},
		{"length nil, flushed", flushed("<html>", h{"Content-Length": nil}), get, nil},
		{"length negative", headerHandler("<html>", h{"Content-Length": {"-1"}}), get, nil},
		{"length twice", headerHandler("hello", h{"Content-Length": {"5", "5"}}), get, nil},
		{"length of 0", headerHandler("", h{"Content-Length": {"0"}}), get, nil},
		{"length on HEAD without body", headerHandler("", h{"Content-Length": {"7"}}), head, nil},
		{"type nil", headerHandler("<html>", h{"Content-Type": nil}), get, nil},
		{"type empty", headerHandler("<html>", h{"Content-Type": {""}}), get, nil},
		{"type nil, flushed", flushed("<html>", h{"Content-Type": nil}), get, nil},
		{"type with HEAD", headerHandler("<html>", nil), head, nil},
		{"type, no body", headerHandler("", h{"Content-Type": {"a/b"}}), get, nil},
		{"encoding", headerHandler("<html>", h{"Content-Encoding": {"gzip"}}), get, nil},
		{"encoding nil", headerHandler("<html>", h{"Content-Encoding": nil}), get, nil},
		{"encoding empty", headerHandler("<html>", h{"Content-Encoding": {""}}), get, nil},
		{"date nil", headerHandler("x", h{"Date": nil}), get, nil},
		{"transfer encoding", headerHandler("x", h{"Transfer-Encoding": {"identity"}}), get, nil},
		{"transfer encoding nil", headerHandler("x", h{"Transfer-Encoding": nil}), get, nil},
		{"chunked with length", headerHandler("x", h{"Transfer-Encoding": {"chunked"}, "Content-Length": {"1"}}), get, nil},
		{"connection nil", headerHandler("x", h{"Connection": nil}), get, nil},
		{"trailer nil", headerHandler("x", h{"Trailer": nil}), get, nil},
		{"field nil", headerHandler("x", h{"X-A": nil, "X-B": {}}), get, nil},
		{"field empty", headerHandler("x", h{"X-A": {""}}), get, nil},
		{"lower case in the map", headerHandler("x", h{"x-a": {"1"}, "X-a": {"2"}, "Content-Type": {"a/b"}}), get, nil},
		{"range of types", headerHandler("%PDF-1.4", nil), get, nil},
	})
}

// How a response ends that has trailers, but no place for them in net/http either.
func TestContractEnds(t *testing.T) {
	get := request1("GET", true, "")
	head := request1("HEAD", true, "")
	trailers := func(status int, body string, flush bool) func(*transcript, http.ResponseWriter, *http.Request) {
		return func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-T")
			w.Header().Set("Content-Type", "a/b")
			w.WriteHeader(status)
			if body != "" {
				_, err := io.WriteString(w, body)
				n.add("write %s", outcome(err))
			}
			if flush {
				n.add("flush %s", outcome(http.NewResponseController(w).Flush()))
			}
			w.Header().Set("X-T", "1")
		}
	}
	runFrameScripts(t, []frameScript{
		{"trailers", trailers(200, "body", false), get, nil},
		{"trailers, flushed", trailers(200, "body", true), get, nil},
		{"trailers, no body", trailers(200, "", false), get, nil},
		{"trailers of HEAD", trailers(200, "body", false), head, nil},
		{"trailers of 404", trailers(404, "gone", false), get, nil},
		{"204", func(_ *transcript, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, get, nil},
		{"204, flushed", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			w.(http.Flusher).Flush()
		}, get, nil},
		{"304, flushed", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(304)
			w.(http.Flusher).Flush()
		}, get, nil},
		{"more than the length, in parts", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			w.Header().Set("Content-Type", "a/b")
			_, err := io.WriteString(w, "hello")
			n.add("write %s", outcome(err))
			w.(http.Flusher).Flush()
			_, err = io.WriteString(w, "!")
			n.add("write %s", outcome(err))
		}, get, nil},
		{"copy of a source that fails", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "a/b")
			k, err := io.Copy(w, &failingSource{10, io.ErrUnexpectedEOF})
			n.add("copied %d %s", k, outcome(err))
			panic(http.ErrAbortHandler)
		}, get, nil},
		{"panic after parts", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "a/b")
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "more")
			panic(http.ErrAbortHandler)
		}, get, nil},
	})
}

// TestNoTrailersWithoutContent: RFC 9110 §15.3.5, §15.4.5, §9.3.2. net/http sends them.
func TestNoTrailersWithoutContent(t *testing.T) {
	for _, flush := range []bool{false, true} {
		withPeer(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-T")
			switch r.URL.Path {
			case "/1":
				w.WriteHeader(204)
			case "/3":
				w.WriteHeader(304)
			case "/5":
				w.WriteHeader(200)
			}
			if flush {
				w.(http.Flusher).Flush()
			}
			w.Header().Set("X-T", "1")
			w.Header().Set(http.TrailerPrefix+"X-U", "2")
		}, func(_ *testing.T, p *peer) {
			p.get(1)
			end := func(head, id string) []string {
				if flush {
					return []string{head, "DATA " + id + ` "" END_STREAM`}
				}
				return []string{head + " END_STREAM"}
			}
			p.want("204", end("HEADERS 1 :status=204 trailer=X-T", "1")...)
			p.get(3)
			p.want("304", end("HEADERS 3 :status=304 trailer=X-T", "3")...)
			p.send(p.request(5, "HEAD", "/5", true))
			p.want("HEAD", "HEADERS 5 :status=200 trailer=X-T END_STREAM")
		})
	}
}

// TestRequestWithoutHost: health checks of proxies send neither :authority nor Host, or an empty
// one.
func TestRequestWithoutHost(t *testing.T) {
	withPeer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Host", "<"+r.Host+"><"+r.URL.Host+">")
		if r.Host == "" && w.(http.Pusher).Push("/x", nil) == nil {
			t.Error("a push for nobody's host is promised")
		}
	}, func(_ *testing.T, p *peer) {
		bare := func(id uint32, more ...string) {
			p.send(p.rawRequest(id, append([]string{":method", "OPTIONS", ":scheme", "http", ":path", "/"}, more...)...))
		}
		bare(1)
		p.want("none", "HEADERS 1 :status=200 x-host=<><> content-length=0 END_STREAM")
		bare(3, "host", "")
		p.want("empty", "HEADERS 3 :status=200 x-host=<><> content-length=0 END_STREAM")
		bare(5, "host", "a.test")
		p.want("one", "HEADERS 5 :status=200 x-host=<a.test><> content-length=0 END_STREAM")
	})
}
