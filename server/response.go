package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
	"unsafe"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
)

// errWriteAfterReturn is the error of a ResponseWriter whose handler has returned.
var errWriteAfterReturn = errors.New("server: use of a ResponseWriter after its handler has returned")

// response is the http.ResponseWriter of an exchange.
//
// Its lock is there for handlers that leave goroutines behind: a call of one that comes late finds
// no responseState and touches neither the stream nor a buffer that others use by then. A Write
// that waits for the client holds the lock; calls that must not wait for it (deadlines,
// CloseNotify) do not take it.
type response struct {
	x *exchange

	mu             sync.Mutex // guards responseState, the pointer and what it points to
	*responseState            // nil once the handler has returned
}

// responseState is what there is of a response while its handler runs. It belongs to the worker,
// which lends it to one exchange after another.
type responseState struct {
	header   http.Header     // nil until Header is called
	buf      *responseBuffer // nil while there is nothing to keep in it
	body     []byte          // the part of the body that is not sent yet, in the memory of buf
	trailers []string        // keys of header that the Trailer field has announced
	err      error           // the first error of the stream; from then on nothing is sent
	length   int64           // the handler's Content-Length, -1 when there is none
	written  int64           // octets of the body that the handler has written
	total    int64           // octets of the bodies of all responses before this one

	// What the request was.
	isHead    bool // HEAD
	isConnect bool // CONNECT

	// What the final header is. These are set with status.
	status      uint16 // 0 until WriteHeader
	noContent   bool   // the status allows no content (RFC 9110 §6.4.1)
	makesTunnel bool   // 2xx to CONNECT: no content, no trailers (RFC 9110 §9.3.6, RFC 9113 §8.5)
	hasType     bool   // Content-Type is not to be sniffed
	hasDate     bool   // the handler has its own Date, or wants none
	noLength    bool   // Content-Length is in the header map without a value: none is to be sent
	closeWanted bool   // "Connection: close"
	pushesLinks bool   // what Link fields with rel=preload name is to be pushed; set before status

	// How far the response is.
	sentHeader bool // the connection has the final header section
	sentEnd    bool // the connection has END_STREAM
	tooLong    bool // the handler has tried to write more than its Content-Length
	isAccepted bool // AcceptConnect was called
	isHijacked bool // what AcceptConnect has returned stays open when the handler returns
}

var (
	_ http.Flusher       = (*response)(nil)
	_ http.Pusher        = (*response)(nil)
	_ http.CloseNotifier = (*response)(nil) //nolint:staticcheck // deprecated, and part of the contract
	_ io.StringWriter    = (*response)(nil)
	_ io.ReaderFrom      = (*response)(nil)
)

// Header returns the header map. After WriteHeader it matters for trailers only.
func (w *response) Header() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.responseState == nil {
		return make(http.Header) // too late for anything
	}
	if w.header == nil {
		w.header = make(http.Header, w.x.sc.srv.headerSizes.expected())
	}
	return w.header
}

// WriteHeader sets the status and freezes the header. With a 1xx status it sends an interim
// response at once instead, and the final one is yet to come.
func (w *response) WriteHeader(code int) {
	if c := w.writeHeader(code); c != nil {
		c.Flush()
	}
}

// writeHeader returns the connection where that must be flushed, nil otherwise.
func (w *response) writeHeader(code int) *conn.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.responseState == nil || w.status != 0 {
		return nil
	}
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", code)) // the text of net/http
	}
	if code >= 200 {
		w.freezeHeaderLocked(code)
		return nil
	}
	if w.writeInterimLocked(code) {
		return &w.x.sc.c.Conn
	}
	return nil
}

// WriteString is Write without a copy of s.
func (w *response) WriteString(s string) (int, error) {
	// Write does not change what it is given, and keeps none of it.
	return w.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// ReadFrom copies with a small buffer, and after a read that has filled that with a large one,
// which is as much as the connection sends with one system call.
const (
	copySmall = 32 << 10
	copyLarge = 256 << 10
)

var (
	smallCopies = sync.Pool{New: func() any { return new([copySmall]byte) }}
	largeCopies = sync.Pool{New: func() any { return new([copyLarge]byte) }}
)

// ReadFrom copies src with buffers of a pool.
func (w *response) ReadFrom(src io.Reader) (n int64, err error) {
	last := 0 // octets that the last read brought
	for {
		var end bool
		if last >= copySmall {
			buf := largeCopies.Get().(*[copyLarge]byte)
			last, end, err = w.copyFrom(src, buf[:])
			largeCopies.Put(buf)
		} else {
			buf := smallCopies.Get().(*[copySmall]byte)
			last, end, err = w.copyFrom(src, buf[:])
			smallCopies.Put(buf)
		}
		n += int64(last)
		if end || err != nil {
			return n, err
		}
	}
}

// copyFrom copies one piece of src, and reports whether that was the last: src has returned io.EOF
// itself. An error that wraps io.EOF, of src or of Write, is an error.
func (w *response) copyFrom(src io.Reader, buf []byte) (n int, end bool, err error) {
	k, err := src.Read(buf)
	if k > 0 {
		m, werr := w.Write(buf[:k])
		if werr != nil {
			return m, false, werr
		}
	}
	if err == io.EOF {
		return k, true, nil
	}
	return k, false, err
}

// Flush sends what is buffered.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends what is buffered, the header at least, and returns the error of a stream that
// has died.
func (w *response) FlushError() error {
	w.mu.Lock()
	if w.responseState == nil {
		w.mu.Unlock()
		return errWriteAfterReturn
	}
	err := w.flushLocked()
	c := w.x.sc.c
	w.mu.Unlock()
	c.Flush()
	return err
}

func (w *response) flushLocked() error {
	if w.status == 0 {
		w.freezeHeaderLocked(http.StatusOK)
	}
	if w.isAccepted {
		return nil
	}
	if err := w.sendLocked(w.body); err != nil {
		return err
	}
	w.releaseBuffer()
	return w.checkLocked()
}

// checkLocked returns the error that has ended the response, nil while it can go on. The first
// error counts.
func (w *response) checkLocked() error {
	if w.err == nil && w.x.s.Dead() {
		w.err = w.x.s.Err()
	}
	return w.err
}

// SetReadDeadline sets the time until which the request body may arrive; the zero time means for
// ever. What has arrived by then can still be read; then reading fails with os.ErrDeadlineExceeded
// unless the body was whole. A deadline that has passed cannot be moved, as in net/http.
func (w *response) SetReadDeadline(t time.Time) error {
	return w.x.withStream(func(s *conn.Stream) error { s.EndReadAt(t); return nil })
}

// SetWriteDeadline sets the time by which the response is to be complete; the zero time means
// never. Otherwise the stream is reset at that time, whatever the handler is doing: the request's
// context is done, reads fail, and so do writes, with os.ErrDeadlineExceeded. A deadline that has
// passed cannot be moved, as in net/http.
func (w *response) SetWriteDeadline(t time.Time) error {
	return w.x.withStream(func(s *conn.Stream) error { s.ResetAt(t, frame.InternalError); return nil })
}

// EnableFullDuplex does nothing: HTTP/2 is always full duplex.
func (w *response) EnableFullDuplex() error { return nil }

// CloseNotify returns a channel that gets a value when the stream dies before the handler has
// returned.
func (w *response) CloseNotify() <-chan bool { return w.x.cancelable().closeNotify() }

// abort resets the stream of a handler that has not returned.
func (w *response) abort(code frame.Code) {
	w.x.s.Reset(code) // before the lock, which a Write that waits holds: it fails then
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isAccepted {
		w.closeTunnelLocked()
	}
	w.detachLocked()
}

// detachLocked gives the responseState back to the worker, ready for the next response: nothing
// must be left in it of the header and body of this one.
func (w *response) detachLocked() {
	st := w.responseState
	if st.buf != nil {
		st.buf.reset()
	}
	*st = responseState{buf: st.buf, body: st.body[:0], total: st.total + st.written}
	w.responseState = nil
}

// unwrap follows the methods Unwrap of wrappers, as http.ResponseController does, and returns the
// innermost ResponseWriter.
func unwrap(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapper.Unwrap()
	}
}
