package tunnel

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is still read of a request that has its answer.
const (
	drainTime    = 5 * time.Second // for the content of one that was sent on
	refusedDrain = 2 * time.Second // for the content of one that is refused
	maxDrain     = 256 << 10       // octets of such content, as in net/http
)

// clientSideOf is what a forward knows of the client's side.
type clientSideOf struct {
	mu    sync.Mutex // guards what follows
	isCut bool       // with a deadline for content
	over  bool       // the client's connection may have another request
}

// cut ends the request: with its context, and with a deadline for a client that sends no content.
// The transport, which waits for a Read of it, would wait for ever otherwise.
func (f *forward) cut(cause error) {
	f.cancel(cause)
	f.client.mu.Lock()
	defer f.client.mu.Unlock()
	if !f.client.over && f.r.Body != nil && f.r.ContentLength != 0 {
		f.client.isCut = true
		f.setReadDeadline(time.Now())
	}
}

// over has cut do nothing any more, and reports whether it has done something.
func (f *forward) over() (wasCut bool) {
	f.client.mu.Lock()
	defer f.client.mu.Unlock()
	f.client.over = true
	return f.client.isCut
}

// refuseCut refuses a request that was sent on, and may have been cut off. The connection of
// HTTP/1.1 is closed where the rest of the content is still on it.
func (f *forward) refuseCut(err error) {
	isCut := f.over()
	if f.r.ProtoMajor < 2 && (isCut || !f.drain(refusedDrain)) {
		f.w.Header().Set("Connection", "close")
	}
	f.p.refuse(f.w, f.r, f.rec, err)
	if isCut {
		f.rec.End = EndRefused // and not by the client
		f.setReadDeadline(time.Now())
	}
}

// end ends a request whose client has got the whole response. Over HTTP/1.1, content that has not
// come yet is awaited, so that the connection can be used again, but not for long.
func (f *forward) end() {
	f.over()
	if f.r.ProtoMajor >= 2 || f.body == nil || f.body.whole.Load() {
		return
	}
	_ = http.NewResponseController(f.w).Flush() // fails on a dead connection only
	if !f.drain(drainTime) {
		panic(http.ErrAbortHandler) // what remains must not be taken for a request
	}
}

// drain reads the rest of the content over HTTP/1.1, and reports whether nothing of it remains.
func (f *forward) drain(wait time.Duration) bool {
	switch b := f.body; {
	case b == nil || b.whole.Load():
		return true
	case !b.begun.Load() && f.r.Header.Get("Expect") != "":
		return true // net/http closes the connection of a client that was not told to continue
	}
	f.setReadDeadline(time.Now().Add(wait))
	n, err := io.CopyN(io.Discard, f.r.Body, maxDrain)
	return n < maxDrain && err == io.EOF //nolint:errorlint // a body returns this very value
}

func (f *forward) setReadDeadline(t time.Time) {
	_ = http.NewResponseController(f.w).SetReadDeadline(t) // another server may not have it
}

// countedBody is the content of a request. Close does not close the server's, which waits for a
// Read over HTTP/1.1, and which the server closes itself.
type countedBody struct {
	f                    *forward
	begun, whole, closed atomic.Bool
}

// Read counts.
func (b *countedBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.begun.Store(true)
	n, err := b.f.r.Body.Read(p)
	if n > 0 {
		b.f.sent.Add(int64(n))
		b.f.touch()
	}
	switch {
	case errors.Is(err, io.EOF):
		b.whole.Store(true)
	case err != nil && !b.closed.Load():
		b.f.clientErr.CompareAndSwap(nil, &err)
	}
	return n, err
}

// Close ends reading.
func (b *countedBody) Close() error {
	b.closed.Store(true)
	return nil
}
