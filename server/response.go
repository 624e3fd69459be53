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

// errWriteAfterReturn is what a ResponseWriter gives when its handler has returned.
var errWriteAfterReturn = errors.New("server: use of a ResponseWriter after its handler has returned")

// response is the http.ResponseWriter of an exchange. Its lock is there for handlers that leave
// goroutines behind: a call that comes late finds no draft and touches neither the stream nor a
// buffer that others use by then. A Write that waits for the client holds the lock; what must not
// wait for it (deadlines, CloseNotify) does not take it.
type response struct {
	x      *exchange
	mu     sync.Mutex
	*draft // nil when the handler has returned
}

// draft is what there is of a response while its handler runs. It belongs to the worker, which uses
// it for one exchange after another.
type draft struct {
	header   http.Header // nil until asked for
	scratch  *scratch    // nil while there is nothing to keep in it
	trailers []string    // keys of header that the Trailer field announced
	status   uint16      // 0 until WriteHeader
	flags    responseFlags
	err      error // the first that the connection has given; from then on nothing is sent
	length   int64 // the handler's Content-Length, -1 when there is none
	written  int64 // body octets that the handler has written
	total    int64 // those of all responses before
}

// reset makes the draft ready for the next response, of whose header and body nothing must be left.
func (d *draft) reset() {
	if d.scratch != nil {
		d.scratch.reset()
	}
	*d = draft{scratch: d.scratch, total: d.total + d.written}
}

// responseFlags say how far a response is and what its header holds.
type responseFlags uint16

const (
	isHead      responseFlags = 1 << iota // the request was HEAD
	isTunnel                              // the request was CONNECT
	sentHeader                            // the final header section is with the connection
	sentEnd                               // and so is END_STREAM
	hasType                               // Content-Type is not to be sniffed
	hasDate                               // the handler has its own Date, or wants none
	closeWanted                           // "Connection: close"
	isAccepted                            // AcceptConnect was called
	pushesLinks                           // what Link fields with rel=preload name is to be pushed
	noLength                              // Content-Length is in the header map without a value: none is to be sent
	tooLong                               // the handler has tried to write more than its Content-Length
)

func (d *draft) is(f responseFlags) bool { return d.flags&f != 0 }

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
	if w.draft == nil {
		return make(http.Header) // too late for anything
	}
	if w.header == nil {
		w.header = make(http.Header, w.x.sc.eng.headers.expected())
	}
	return w.header
}

// WriteHeader fixes the header. A 1xx status sends an interim response at once and leaves
// everything open.
func (w *response) WriteHeader(code int) {
	if c := w.writeHeader(code); c != nil {
		c.Flush()
	}
}

// writeHeader returns the connection where that is to be flushed.
func (w *response) writeHeader(code int) *conn.Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draft == nil || w.status != 0 {
		return nil
	}
	if code < 100 || code > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", code)) // the text of net/http
	}
	if code >= 200 {
		w.snapshotLocked(code)
		return nil
	}
	if w.informLocked(code) {
		return w.x.sc.c
	}
	return nil
}

// Write buffers p, or sends it when it does not fit.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writeLocked(p)
}

// WriteString is Write without a copy of s.
func (w *response) WriteString(s string) (int, error) {
	// Nobody changes what is given to Write, so the string may be lent.
	return w.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// ReadFrom takes a small buffer, and a large one while that does not hold what the source has: as
// much as the connection sends with one system call.
const (
	copySmall = 32 << 10
	copyLarge = 256 << 10
)

var (
	smallCopies = sync.Pool{New: func() any { return new([copySmall]byte) }}
	largeCopies = sync.Pool{New: func() any { return new([copyLarge]byte) }}
)

// ReadFrom copies src with buffers that other responses use again.
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

// FlushError sends what is buffered, the header at least, and reports a stream that has died.
func (w *response) FlushError() error {
	w.mu.Lock()
	if w.draft == nil {
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
		w.snapshotLocked(http.StatusOK)
	}
	if w.is(isAccepted) {
		return nil
	}
	if err := w.sendLocked(w.buffered()); err != nil {
		return err
	}
	w.putScratch()
	return w.deadLocked()
}

// deadLocked returns the error that has ended the response, nil while it can go on. The first one
// counts.
func (w *response) deadLocked() error {
	if w.err == nil && w.x.s.Dead() {
		w.err = w.x.s.Err()
	}
	return w.err
}

// SetReadDeadline sets the time until which the request body is taken; the zero time means for
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
func (w *response) CloseNotify() <-chan bool { return w.x.ctx().get().closeNotify() }

// abort ends the stream of a handler that gave up.
func (w *response) abort(code frame.Code) {
	w.x.s.Reset(code) // wakes a Write that has the lock
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.is(isAccepted) {
		w.closeTunnel()
	}
	w.endLocked()
}

// endLocked gives the draft back to the worker.
func (w *response) endLocked() {
	w.draft.reset()
	w.draft = nil
}
