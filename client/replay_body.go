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

// replayBody is the body of a request, over all attempts to send it. It closes the user's body
// exactly once, and does not touch it after that. Each attempt has a number, and only the newest
// one reads: the upload of an attempt that was given up may still be about to read, or be in a Read
// that does not return, while the next attempt begins.
type replayBody struct {
	mu   sync.Mutex // guards what changes below; not held while body.Read or body.Close runs
	cond sync.Cond  // signals that a Read has returned, the attempt has changed, or the body is closed

	body      io.ReadCloser
	getBody   func() (io.ReadCloser, error)
	remaining int64 // octets that the body has still to give by its Content-Length; -1: not known

	attempt     int    // the number of the newest attempt, which alone may read
	buffered    []byte // all that was read, for another attempt; beyond replayLimit by one Read of an older attempt
	replayLimit int    // bound of buffered, in octets; -1: nothing is buffered, or too much was read
	started     bool   // a Read of the body was begun
	reading     bool   // a Read of the body runs
	closed      bool   // the body was closed, or detach gave it to an owner that closes it
	err         error  // what the body's last Read returned, nil or final; io.EOF included
}

// Errors of a replayBody's Read and of another attempt, beside those of the user's body.
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

// newReplayBody returns the body of req, nil where it has none. Up to replayLimit octets are
// buffered for another attempt, none of a body that has GetBody or is longer.
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

// bodyLength returns how long a request's body is, -1 where that is not known.
func bodyLength(req *http.Request) int64 {
	switch {
	case req.Body == nil || req.Body == http.NoBody:
		return 0
	case req.ContentLength > 0:
		return req.ContentLength
	}
	return -1
}

// inMemory reports whether the whole body can be read without waiting, and is at most n octets
// long.
func (b *replayBody) inMemory(n int) bool {
	b.mu.Lock() // a Read of an older attempt may run
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

// isInMemory reports whether body is one that http.NewRequest makes of a reader in memory.
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

// bodyReader reads a replayBody from its beginning, for one attempt.
type bodyReader struct {
	body    *replayBody
	attempt int
	pos     int // octets that this attempt has read
}

// newReader returns a reader for the newest attempt.
func (b *replayBody) newReader() bodyReader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bodyReader{body: b, attempt: b.attempt}
}

// Read waits while a Read of an older attempt runs. It fails when a newer attempt begins.
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

// current reports whether no newer attempt has begun.
func (r *bodyReader) current() bool {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	return r.attempt == r.body.attempt
}

// read reads at position pos for an attempt: first what is buffered, then the body.
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

// readBodyLocked reads from the body itself. It releases mu during the Read, as sync.Cond.Wait
// does.
func (b *replayBody) readBodyLocked(attempt int, p []byte) (n int, err error) {
	b.started, b.reading = true, true
	err = errReadExited // stays so where Read panics or ends its goroutine
	defer func() {
		b.mu.Lock()
		n, err = b.recordReadLocked(attempt, p, n, err)
	}()
	b.mu.Unlock()
	n, err = b.body.Read(p)
	return n, err
}

// recordReadLocked records the result of a Read of the body, and returns what it means for the
// attempt that has called it.
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
		b.buffered = append(b.buffered, p[:n]...) // what an older attempt has read the newest one needs, beyond the limit too
	case stale:
		if n > 0 && !b.closed {
			err = errBodyLost
		}
	default:
		b.buffered, b.replayLimit = nil, -1 // the newest attempt has read all that was buffered
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

// isComplete reports whether all of the body was read and is buffered.
func (b *replayBody) isComplete() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.replayLimit >= 0 && isEOF(b.err)
}

// supersede ends an attempt, if it is the newest: its reads fail from now on.
func (b *replayBody) supersede(attempt int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if attempt == b.attempt {
		b.supersedeLocked()
	}
}

// supersedeLocked ends all attempts so far.
func (b *replayBody) supersedeLocked() {
	b.attempt++
	b.cond.Broadcast()
}

// rewind begins a new attempt, which reads from the beginning, and reports whether it can: whether
// the body is untouched, or all that was read is buffered.
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
	return b.replayLimit >= 0 && (!b.closed || isEOF(b.err)) // a body that is closed must have been buffered to its end
}

// forRetry returns the body for another attempt: b, or one that GetBody gives. Older attempts read
// no more, and GetBody is not called before their Read has returned.
func (b *replayBody) forRetry(req *http.Request) (*replayBody, error) {
	if b.rewind() {
		return b, nil
	}
	if b.getBody == nil {
		return nil, errNotBuffered
	}
	b.close(true)
	if err := b.awaitRead(req); err != nil {
		return nil, err // GetBody may give the same body, rewound, so no Read of it may run
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

// awaitRead waits until no Read runs, or the request is cancelled.
func (b *replayBody) awaitRead(req *http.Request) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reading {
		return nil
	}
	ended := make(chan struct{})
	defer close(ended)
	var gaveUp error
	go func() { // ends when awaitRead returns or the request is cancelled
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

// detach gives the body, for another attempt, to an owner that closes it: net/http.
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

// bufferAll reports whether all of the body is buffered, so that it can be read again when it is
// closed. What remains of a body whose length is known, and within the limit, is read for that.
func (b *replayBody) bufferAll(ctx context.Context) bool {
	if b.getBody != nil {
		return false // GetBody gives the body again
	}
	b.mu.Lock()
	small := b.replayLimit >= 0 && b.remaining >= 0 && !b.closed
	b.mu.Unlock()
	if small && b.rewind() {
		stop := context.AfterFunc(ctx, func() { b.close(true) })
		defer stop()
		r := b.newReader()
		_, _ = io.Copy(io.Discard, &r) // isComplete sees whether all has come
	}
	return b.isComplete()
}

// replayAll returns a reader of a body that is completely buffered. It is a Request.GetBody.
func (b *replayBody) replayAll() (io.ReadCloser, error) {
	if !b.rewind() {
		return nil, errNotBuffered
	}
	r := b.newReader()
	return &r, nil
}

// close closes the body, once. With async, or while a Read runs, a goroutine does so, since the
// Close of a user's body may wait; to close the body is the way to end a Read that waits.
func (b *replayBody) close(async bool) {
	b.mu.Lock()
	b.closeAndUnlock(async)
}

// closeAttempt closes the body, unless a newer attempt has begun.
func (b *replayBody) closeAttempt(attempt int, async bool) {
	b.mu.Lock()
	if attempt != b.attempt {
		b.mu.Unlock()
		return
	}
	b.closeAndUnlock(async)
}

// closeAndUnlock is close with mu held, which it releases.
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
		go func() { _ = b.body.Close() }() // ends when the user's Close returns, as in net/http
		return
	}
	_ = b.body.Close() // as net/http: its error is not the request's
}
