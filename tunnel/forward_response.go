package tunnel

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// respond sends the response on.
func (f *forward) respond(ctx context.Context, resp *http.Response) {
	f.rec.Status, f.rec.End = resp.StatusCode, EndClosed
	w := f.w
	h := w.Header()
	for name, values := range resp.Header {
		h[name] = values
	}
	removeHopByHop(h)
	for _, name := range []string{"Content-Type", "Date"} {
		if _, ok := h[name]; !ok {
			h[name] = nil // none is added
		}
	}
	h.Add("Via", "1.1 "+f.p.state.via)
	announced := make(map[string]bool)
	for name := range resp.Trailer {
		if !notTrailer(name) {
			announced[name] = true
			h.Add("Trailer", name)
		}
	}
	defer writesEnd(ctx, w)()
	w.WriteHeader(resp.StatusCode)
	if err := f.copyBody(resp); err != nil {
		f.endBody(ctx, err)
		panic(http.ErrAbortHandler) // resets the stream or the connection: the response is not whole
	}
	f.p.boundFlush(w, f.r)
	for name := range announced {
		delete(h, name) // a field of the header is no trailer
	}
	for name, values := range resp.Trailer {
		switch {
		case notTrailer(name):
			continue
		case !announced[name]:
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}

// notTrailer reports whether a trailer is not sent on: a field for one connection, or one that says
// how a message is framed (RFC 9110 §6.5.1).
func notTrailer(name string) bool {
	return name == "Content-Length" || slices.Contains(hopByHop, name)
}

// writesEnd has a write of the response fail when ctx is done, which waits for a client that takes
// nothing, until the function that it returns is called.
func writesEnd(ctx context.Context, w http.ResponseWriter) (stop func()) {
	ended := make(chan struct{})
	stopAfter := context.AfterFunc(ctx, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0)) // another server may not have it
		close(ended)
	})
	return func() {
		if !stopAfter() {
			<-ended // so that the deadline is not that of the next response
		}
	}
}

// boundFlush bounds the time that net/http waits for the client when it sends the end of a response
// over HTTP/1.1. It takes the deadline away then.
func (p *Proxy) boundFlush(w http.ResponseWriter, r *http.Request) {
	if idle := p.idleTimeout(); idle > 0 && r.ProtoMajor < 2 {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(idle)) // as above
	}
}

// copyBody sends the content as it comes. The error says which side has failed.
func (f *forward) copyBody(resp *http.Response) error {
	if resp.ContentLength == 0 || f.r.Method == http.MethodHead {
		return nil
	}
	flusher := http.NewResponseController(f.w)
	if resp.ContentLength < 0 {
		_ = flusher.Flush() // the head, behind which the content may take its time
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	for total := int64(0); ; {
		n, err := resp.Body.Read(*buf)
		if n > 0 {
			f.touch()
			if _, werr := f.w.Write((*buf)[:n]); werr != nil {
				return &sideError{clientSide, werr}
			}
			total += int64(n)
			f.received.Store(total)
		}
		if err == io.EOF { // a body returns this very value
			return nil
		}
		if err != nil {
			return &sideError{targetSide, err}
		}
		if n > 0 && total != resp.ContentLength {
			if err := flusher.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return &sideError{clientSide, err}
			}
		}
	}
}

// sideError is the error of one side.
type sideError struct {
	side int
	err  error
}

// Error is that of the side.
func (e *sideError) Error() string { return e.err.Error() }

// Unwrap returns it.
func (e *sideError) Unwrap() error { return e.err }

// endBody fills in the record of a response that is not whole.
func (f *forward) endBody(ctx context.Context, err error) {
	f.rec.Error = err.Error()
	var side *sideError
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errIdle):
		f.rec.End = EndIdle
	case errors.Is(cause, errClosed):
		f.rec.End = EndShutdown
	case cause != nil:
		f.rec.End = EndClientReset
	case errors.As(err, &side):
		f.rec.End = endOf(side.side, side.err)
	}
}

// hopByHop are the fields for one connection, beside those that Connection lists (RFC 9110 §7.6.1),
// and those between a client and its proxy.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Proxy-Authorization", "Proxy-Authenticate", "Proxy-Authentication-Info",
}

// removeHopByHop removes the fields that are not for the next one.
func removeHopByHop(h http.Header) {
	for _, v := range h["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.Trim(name, " \t"); name != "" {
				h.Del(name)
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}
