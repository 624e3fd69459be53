package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
)

// replayBody is the body of a request, over all attempts to send it. It closes the body exactly once,
// and does not touch it after that. Each attempt has a number, and only the newest one reads: an
// upload that was given up may still be about to read, or in a Read that it cannot leave, while the
// next attempt begins.
type replayBody struct {
	mu   sync.Mutex
	cond sync.Cond

	body      io.ReadCloser
	getBody   func() (io.ReadCloser, error)
	remaining int64 // octets that the body must still give; -1: not known

	attempt     int    // the one that may read
	buffered    []byte // all that was read, for another attempt; more than keep by one Read where that came late
	replayLimit int    // how much may be kept; -1: too much was read already
	started     bool   // a Read was begun
	reading     bool   // a call of body.Read runs
	closed      bool   // or given to another owner, who closes it
	err         error  // that ended reading, io.EOF included
}

// Errors of reads of the source, beside those of the user's body.
var (
	errSuperseded  = errors.New("http2: read of a request body by an attempt that was given up")
	errBodyClosed  = errors.New("http2: read of a request body that was closed")
	errBodyLost    = errors.New("http2: part of the request body was read by an attempt that was given up")
	errBadCount    = errors.New("http2: Request.Body.Read returned an invalid count")
	errReadExited  = errors.New("http2: Request.Body.Read ended its goroutine")
	errNilGetBody  = errors.New("http2: Request.GetBody returned neither a body nor an error")
	errNotBuffered = errors.New("more of the body was read than Transport.ReplayBuffer keeps")
	errNotComplete = errors.New("a part of the body was read, its length is not known, and net/http has to dial")
)

// newReplayBody returns nil for a request without a body.
func newReplayBody(req *http.Request, replayLimit int) *replayBody {
	if req.Body == nil || req.Body == http.NoBody {
		return nil
	}
	b := &replayBody{body: req.Body, getBody: req.GetBody, remaining: bodyLength(req), replayLimit: replayLimit}
	b.cond.L = &b.mu
	if req.GetBody != nil || b.remaining > int64(replayLimit) {
		b.replayLimit = -1
	}
	return b
}

// bodyLength is how long a request's body is, -1 where that is not known.
func bodyLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength > 0:
		return req.ContentLength
	}
	return -1
}

// inMemory tells whether all of the body can be had at once, without waiting for anybody, and is at
// most n octets long.
func (b *replayBody) inMemory(n int) bool {
	b.mu.Lock() // a Read of a former attempt may be under way
	small := b.remaining > 0 && b.remaining <= int64(n) && !b.started
	b.mu.Unlock()
	return small && isInMemory(b.body)
}

var (
	nopCloserType         = reflect.TypeOf(io.NopCloser(nil))
	nopCloserWriterToType = reflect.TypeOf(io.NopCloser(struct {
		io.Reader
		io.WriterTo
	}{}))
)

// isInMemory knows the readers that http.NewRequest knows, and its way to make bodies of them.
func isInMemory(body io.ReadCloser) bool {
	if t := reflect.TypeOf(body); t != nopCloserType && t != nopCloserWriterToType {
		return false
	}
	switch reflect.ValueOf(body).Field(0).Interface().(type) {
	case *bytes.Reader, *bytes.Buffer, *strings.Reader:
		return true
	}
	return false
}

// bodyReader is the way of one attempt through a source.
type bodyReader struct {
	body    *replayBody
	attempt int
	pos     int // octets read
}

// newReader returns the way of the newest attempt.
func (b *replayBody) newReader() bodyReader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bodyReader{body: b, attempt: b.attempt}
}

// Read waits while a Read of an attempt that was given up is still under way. It fails when the
// attempt is given up.
func (r *bodyReader) Read(p []byte) (int, error) {
	n, err := r.body.read(r.attempt, r.pos, p)
	r.pos += n
	return n, err
}

// Close closes the body, unless a newer attempt reads it.
func (r *bodyReader) Close() error {
	r.body.closeAttempt(r.attempt, false)
	return nil
}

// current reports whether the attempt may read.
func (r *bodyReader) current() bool {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	return r.attempt == r.body.attempt
}

// read reads at position pos for an attempt.
func (b *replayBody) read(attempt, pos int, p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case attempt != b.attempt:
			return 0, errSuperseded
		case pos < len(b.buffered):
			n := copy(p, b.buffered[pos:])
			if pos+n == len(b.buffered) && !b.reading {
				return n, b.err
			}
			return n, nil
		case b.err != nil:
			return 0, b.err
		case b.closed:
			return 0, errBodyClosed
		case !b.reading:
			return b.readBodyLocked(attempt, p)
		}
		b.cond.Wait()
	}
}

// readBodyLocked reads from the body itself. It lets go of mu.
func (b *replayBody) readBodyLocked(attempt int, p []byte) (n int, err error) {
	b.started, b.reading = true, true
	err = errReadExited // a Read that panics, or ends its goroutine, does not come back here
	defer func() {
		b.mu.Lock()
		n, err = b.recordReadLocked(attempt, p, n, err)
	}()
	b.mu.Unlock()
	n, err = b.body.Read(p)
	return n, err
}

// recordReadLocked notes what a Read of the body has given.
func (b *replayBody) recordReadLocked(attempt int, p []byte, n int, err error) (int, error) {
	b.reading = false
	b.cond.Broadcast()
	if n < 0 || n > len(p) {
		n, err = 0, errBadCount
	}
	if b.remaining >= 0 {
		if b.remaining -= int64(n); b.remaining < 0 {
			n, err = 0, errBodyTooLong
		} else if isEOF(err) && b.remaining > 0 {
			err = errBodyTooShort
		}
	}
	stale := attempt != b.attempt
	switch {
	case b.replayLimit >= 0 && (stale || len(b.buffered)+n <= b.replayLimit):
		b.buffered = append(b.buffered, p[:n]...) // of a stale attempt the next one has need, however much it is
	case stale:
		if n > 0 && !b.closed {
			err = errBodyLost
		}
	default:
		b.buffered, b.replayLimit = nil, -1 // the attempt that reads has had all that was kept
	}
	b.err = err
	if stale {
		return 0, errSuperseded
	}
	return n, err
}

// hasStarted reports whether the body was read or closed.
func (b *replayBody) hasStarted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.started || b.closed
}

// isComplete reports whether all of the body was read and is kept.
func (b *replayBody) isComplete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.replayLimit >= 0 && isEOF(b.err)
}

// supersede gives up an attempt, if it is the newest: its reads fail from now on.
func (b *replayBody) supersede(attempt int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if attempt == b.attempt {
		b.supersedeLocked()
	}
}

// supersedeLocked gives up all attempts so far.
func (b *replayBody) supersedeLocked() {
	b.attempt++
	b.cond.Broadcast()
}

// rewind makes the source begin anew, for the next attempt, and reports whether it can.
func (b *replayBody) rewind() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.supersedeLocked()
	switch {
	case !b.started && !b.closed:
		return true
	case b.getBody != nil:
		return false
	}
	return b.replayLimit >= 0 && (!b.closed || isEOF(b.err)) // then all of it is kept
}

// forRetry returns the source for another attempt. No earlier attempt reads any more, nor the body
// that it was reading.
func (b *replayBody) forRetry(req *http.Request) (*replayBody, error) {
	if b.rewind() {
		return b, nil
	}
	if b.getBody == nil {
		return nil, errNotBuffered
	}
	b.close(true)
	if err := b.awaitRead(req); err != nil {
		return nil, err // the new body may be the old one, rewound
	}
	body, err := b.getBody()
	switch {
	case err != nil:
		return nil, fmt.Errorf("http2: Request.GetBody: %w", err)
	case body == nil:
		return nil, errNilGetBody
	}
	next := &replayBody{body: body, getBody: b.getBody, remaining: bodyLength(req), replayLimit: -1}
	next.cond.L = &next.mu
	return next, nil
}

// awaitRead waits until no Read is under way, at most until the request is cancelled.
func (b *replayBody) awaitRead(req *http.Request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reading {
		return nil
	}
	ended := make(chan struct{})
	defer close(ended)
	var gaveUp error
	go func() { // ends with the wait
		var err error
		select {
		case <-ended:
			return
		case <-req.Context().Done():
			err = req.Context().Err()
		case <-req.Cancel: //nolint:staticcheck // deprecated, and part of the contract
			err = errRequestCanceled
		}
		b.mu.Lock()
		gaveUp = err
		b.cond.Broadcast()
		b.mu.Unlock()
	}()
	for b.reading && gaveUp == nil {
		b.cond.Wait()
	}
	return gaveUp
}

// detach gives the body of another attempt to an owner who closes it.
func (b *replayBody) detach(req *http.Request) (io.ReadCloser, error) {
	next, err := b.forRetry(req)
	if err != nil {
		return nil, err
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	if !next.started && !next.closed {
		next.closed = true
		next.supersedeLocked()
		return next.body, nil
	}
	return &bodyReader{body: next, attempt: next.attempt}, nil
}

// bufferAll reports whether all of the body is kept, so that it can be had again when it is
// closed. What is left of a body that says how long it is, and is short enough, is read for that.
func (b *replayBody) bufferAll(ctx context.Context) bool {
	if b.getBody != nil {
		return false // which is asked
	}
	b.mu.Lock()
	small := b.replayLimit >= 0 && b.remaining >= 0 && !b.closed
	b.mu.Unlock()
	if small && b.rewind() {
		stop := context.AfterFunc(ctx, func() { b.close(true) })
		defer stop()
		r := b.newReader()
		_, _ = io.Copy(io.Discard, &r) // whether all has come is seen below
	}
	return b.isComplete()
}

// replayAll returns what is kept of a whole body. It is a Request.GetBody.
func (b *replayBody) replayAll() (io.ReadCloser, error) {
	if !b.rewind() {
		return nil, errNotBuffered
	}
	r := b.newReader()
	return &r, nil
}

// close closes the body, once. Where a Read is under way, and with async, a goroutine does so,
// since what a user's body does is not known: to close it is the way to end a Read that waits.
func (b *replayBody) close(async bool) {
	b.mu.Lock()
	b.closeAndUnlock(async)
}

// closeAttempt closes the body for an attempt, unless there is a newer one.
func (b *replayBody) closeAttempt(attempt int, async bool) {
	b.mu.Lock()
	if attempt != b.attempt {
		b.mu.Unlock()
		return
	}
	b.closeAndUnlock(async)
}

// closeAndUnlock lets go of mu.
func (b *replayBody) closeAndUnlock(async bool) {
	if b.closed {
		b.mu.Unlock()
		return
	}
	b.closed = true
	async = async || b.reading
	b.cond.Broadcast()
	b.mu.Unlock()
	if async {
		go func() { _ = b.body.Close() }() // ends when the user's Close returns; nobody waits for it, as in net/http
		return
	}
	_ = b.body.Close() // as net/http: what it says does not concern the request
}
