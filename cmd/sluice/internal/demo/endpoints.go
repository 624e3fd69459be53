package demo

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Bounds of what one request can ask of the endpoints, so that a demo that is
// left running cannot be used to harm its owner.
const (
	maxBytes = 1 << 30 // of /bytes and /echo: a gigabyte fills any window
	maxDelay = time.Minute
	maxLines = 1000

	hintDelay = 300 * time.Millisecond // long enough to be seen in curl -v
)

// endpoints adds the endpoints for the command line to the mux.
func (s *Site) endpoints() {
	s.mux.HandleFunc("POST /echo", echo)
	s.mux.HandleFunc("PUT /echo", echo)
	s.mux.HandleFunc("/headers", headers)
	s.mux.HandleFunc("/trailers", trailers)
	s.mux.HandleFunc("GET /early-hints", earlyHints)
	s.mux.HandleFunc("GET /push", push)
	s.mux.HandleFunc("GET /slow", slow)
	s.mux.HandleFunc("GET /bytes/{n}", sendBytes)
	s.mux.HandleFunc("GET /stream", stream)
	s.mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		if s.stats == nil {
			http.Error(w, "this server keeps no counters", http.StatusNotFound)
			return
		}
		writeJSON(w, s.stats())
	})
}

// echo sends the body back while it arrives.
func echo(w http.ResponseWriter, r *http.Request) {
	// Over HTTP/1.1 this lets the answer begin before the body has ended;
	// HTTP/2 is full duplex as it is.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	// The request's own type would have a browser run a page that it was made to send here.
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	if _, err := io.Copy(flushWriter{w}, http.MaxBytesReader(w, r.Body, maxBytes)); err != nil {
		panic(http.ErrAbortHandler) // a part of the response is sent: a reset of the stream is the one way left to report it
	}
}

// flushWriter sends each piece at once.
type flushWriter struct{ http.ResponseWriter }

func (w flushWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	if err == nil {
		err = http.NewResponseController(w.ResponseWriter).Flush()
	}
	return n, err
}

// headers shows the request as it reached the handler.
func headers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
	writeHeader(w, r.Header)
	fmt.Fprintf(w, "\nfrom %s", r.RemoteAddr)
	if r.TLS != nil {
		fmt.Fprintf(w, " over %s, %s", tls.VersionName(r.TLS.Version), tls.CipherSuiteName(r.TLS.CipherSuite))
	}
	fmt.Fprintln(w)
}

func writeHeader(w io.Writer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[name] {
			fmt.Fprintf(w, "%s: %s\n", name, v)
		}
	}
}

// trailers reads the body to its end, shows the trailer section that came with
// it and ends the answer with one of its own (RFC 9110 §6.5).
func trailers(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Trailer", "X-Sha256")
	n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBytes))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	fmt.Fprintf(out, "%d bytes of body, %d trailer fields\n", n, len(r.Trailer))
	writeHeader(out, r.Trailer)
	// What the handler sets after the body, under a name announced in Trailer,
	// goes into the trailer section.
	h.Set("X-Sha256", hex.EncodeToString(sum.Sum(nil)))
}

// earlyHints sends 103 (RFC 8297), waits for hintDelay, and answers.
func earlyHints(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Link", "</style.css>; rel=preload; as=style")
	h.Add("Link", "</app.js>; rel=preload; as=script")
	w.WriteHeader(http.StatusEarlyHints)
	if !sleep(r, hintDelay) {
		return
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "the 103 before this answer named the style sheet and the script")
}

// push promises what the page needs before it answers (RFC 9113 §8.4): nghttp -nv shows it,
// browsers no longer take pushes.
func push(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	p, ok := w.(http.Pusher)
	for _, path := range []string{"/style.css", "/app.js"} {
		var err error = http.ErrNotSupported
		if ok {
			err = p.Push(path, nil)
		}
		if err != nil {
			fmt.Fprintf(w, "%s is not pushed: %v\n", path, err)
			continue
		}
		fmt.Fprintf(w, "%s was promised before this answer\n", path)
	}
}

// slow answers after the time that ?d= names.
func slow(w http.ResponseWriter, r *http.Request) {
	d, ok := duration(w, r, "d", time.Second)
	if !ok || !sleep(r, d) {
		return
	}
	fmt.Fprintf(w, "waited for %v\n", d)
}

// stream sends ?n= lines, one every ?every=.
func stream(w http.ResponseWriter, r *http.Request) {
	every, ok := duration(w, r, "every", 500*time.Millisecond)
	if !ok {
		return
	}
	n := 10
	if v := r.FormValue("n"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil || n < 1 || n > maxLines {
			http.Error(w, fmt.Sprintf("n must be a number from 1 to %d", maxLines), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	out := flushWriter{w}
	for i := range n {
		if i > 0 && !sleep(r, every) {
			return
		}
		if _, err := fmt.Fprintf(out, "line %d of %d at %s\n", i+1, n, time.Now().Format("15:04:05.000")); err != nil {
			return // the client has gone
		}
	}
}

// block is what /bytes sends, over and over.
var block = func() []byte {
	b := make([]byte, 0, 256<<10)
	for len(b) < 256<<10 {
		b = append(b, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n"...)
	}
	return b
}()

// sendBytes sends as many bytes as the path says.
func sendBytes(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || n < 0 || n > maxBytes {
		http.Error(w, fmt.Sprintf("/bytes/N wants a number from 0 to %d", maxBytes), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	if r.Method == http.MethodHead {
		return
	}
	for n > 0 {
		k, err := w.Write(block[:min(n, int64(len(block)))])
		if err != nil {
			return // the client has gone
		}
		n -= int64(k)
	}
}

// duration reads a query parameter such as "1.5s"; on a bad one it answers 400
// and returns false.
func duration(w http.ResponseWriter, r *http.Request, name string, def time.Duration) (time.Duration, bool) {
	v := r.FormValue(name)
	if v == "" {
		return def, true
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > maxDelay {
		http.Error(
			w,
			fmt.Sprintf("%s must be a time from 0s to %v, such as 250ms or 2s", name, maxDelay),
			http.StatusBadRequest,
		)
		return 0, false
	}
	return d, true
}

// sleep waits for d and reports whether the client is still there.
func sleep(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
