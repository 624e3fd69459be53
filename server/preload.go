package server

import (
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/sluice-go/sluice/internal/syntax"
)

// PushPreloads returns a handler that calls h, and pushes what its responses say is needed with
// them: the targets of links with rel=preload in the Link fields of 2xx and 103 responses (RFC
// 8288, RFC 9113 §8.4), unless they have the parameter nopush. They are pushed as soon as h has
// written the header. Not pushed are targets of another origin than the request's, targets that
// were pushed on the connection before, and more than 256 different ones on a connection.
//
// The pushed requests are GET, have the Accept-Encoding, Accept-Language and User-Agent of the one
// that h answers, and go through the server's Handler. A 103 response of which every link is pushed
// is not sent.
//
// Nothing is pushed where the client takes no pushes, or in answer to HTTP/1.1; the links are still
// there for it. The ResponseWriter of this package is found through methods Unwrap, as
// http.ResponseController does.
func PushPreloads(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if resp, ok := unwrap(w).(*response); ok && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
			resp.x.s.CanPush() == nil {
			resp.mu.Lock()
			if resp.responseState != nil {
				resp.pushesLinks = true
			}
			resp.mu.Unlock()
		}
		h.ServeHTTP(w, r)
	})
}

// EarlyHints returns a handler that tells the client what it will need before h has a response:
// links returns the values of Link fields for a request, such as "</style.css>; rel=preload;
// as=style". They are put into the response's header, and sent at once in a 103 response (RFC 8297)
// where the request is GET, speaks HTTP/2, and is no request of a script or for a part of a page,
// as far as Sec-Fetch-Mode says: some clients of HTTP/1.1 take 103 for the response, and browsers
// use it for pages only.
//
// Within PushPreloads the links are pushed to clients that take pushes:
//
//	server.PushPreloads(server.EarlyHints(h, links))
func EarlyHints(h http.Handler, links func(*http.Request) []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list := links(r); len(list) > 0 {
			header := w.Header()
			header["Link"] = append(slices.Clip(header["Link"]), list...)
			mode := r.Header.Get("Sec-Fetch-Mode")
			if r.ProtoMajor >= 2 && r.Method == http.MethodGet && (mode == "" || mode == "navigate") {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}
		h.ServeHTTP(w, r)
	})
}

// preloads are the paths that were pushed on a connection because a Link field named them.
type preloads struct {
	mu    sync.Mutex          // guards paths
	paths map[string]struct{} // nil while there is none
}

// maxPreloads bounds the paths that are kept for a connection, and so what is pushed on it.
const maxPreloads = 256

// add adds a path. It does not where the path is known or there are maxPreloads.
func (p *preloads) add(path string) (added, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known = p.paths[path]; known || len(p.paths) >= maxPreloads {
		return false, known
	}
	if p.paths == nil {
		p.paths = make(map[string]struct{})
	}
	p.paths[path] = struct{}{}
	return true, false
}

// remove removes a path, which may be pushed again then.
func (p *preloads) remove(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.paths, path)
}

// pushLinksLocked pushes what the Link fields of a response say is needed with it. It reports
// whether that is all that they have.
func (w *response) pushLinksLocked(code int) (all bool) {
	if code >= 300 || code < 200 && code != http.StatusEarlyHints {
		return false
	}
	links, pushed := 0, 0
	for _, v := range w.header["Link"] {
		for l := range parseLinks(v) {
			links++
			if l.preloads() && !l.nopush && w.x.pushLink(l.target) {
				pushed++
			}
		}
	}
	return links > 0 && pushed == links
}

// pushLink pushes the target of a link, and reports whether that is pushed, now or before.
func (x *exchange) pushLink(target string) bool {
	base, err := url.ParseRequestURI(x.req.RequestURI)
	if err != nil {
		return false
	}
	base.Scheme, base.Host = x.scheme(), x.req.Host
	u, err := base.Parse(target)
	if err != nil || u.Scheme != base.Scheme || u.User != nil || !syntax.SameAuthority(u.Scheme, u.Host, base.Host) {
		return false
	}
	path := u.RequestURI()
	if path == x.req.RequestURI {
		return false
	}
	added, known := x.sc.preloads.add(path)
	if !added {
		return known
	}
	fields := x.promisedFields(http.MethodGet, path, 3)
	for _, name := range [...][2]string{
		{"accept-encoding", "Accept-Encoding"}, {"accept-language", "Accept-Language"}, {"user-agent", "User-Agent"},
	} {
		for _, v := range x.req.Header[name[1]] {
			fields = appendField(fields, name[0], v)
		}
	}
	if x.push(fields) != nil {
		x.sc.preloads.remove(path)
		return false
	}
	return true
}
