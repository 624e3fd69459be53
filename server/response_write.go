package server

import (
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
)

// bufferSize is how much of a body is kept until it is sent. A response that fits as a whole gets a
// Content-Length. It is what net/http uses.
const bufferSize = 4 << 10

// scratch is memory that a response needs for a while.
type scratch struct {
	fields []core.Field // the final header section, while it is not sent
	n      int          // octets in buf
	buf    [bufferSize]byte
}

var scratchPool = sync.Pool{New: func() any { return &scratch{fields: make([]core.Field, 0, 16)} }}

// maxScratchFields is how large a header section may have been for its memory to be kept.
const maxScratchFields = 64

func (d *draft) getScratch() *scratch {
	if d.scratch == nil {
		d.scratch = scratchPool.Get().(*scratch)
	}
	return d.scratch
}

// reset forgets what is in the memory.
func (t *scratch) reset() {
	clear(t.fields) // do not hold on to the handler's strings
	t.fields, t.n = t.fields[:0], 0
	if cap(t.fields) > maxScratchFields {
		t.fields = nil
	}
}

// putScratch gives the memory to others. What is in it is lost.
func (d *draft) putScratch() {
	if t := d.scratch; t != nil {
		d.scratch = nil
		t.reset()
		scratchPool.Put(t)
	}
}

func (d *draft) buffered() []byte {
	if d.scratch == nil {
		return nil
	}
	return d.scratch.buf[:d.scratch.n]
}

// writeLocked takes p as the next part of the body.
func (w *response) writeLocked(p []byte) (n int, err error) {
	if w.draft == nil {
		return 0, errWriteAfterReturn
	}
	if w.is(isAccepted) {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.snapshotLocked(http.StatusOK)
	}
	if !bodyAllowed(w.status) {
		return 0, http.ErrBodyNotAllowed
	}
	if err := w.deadLocked(); err != nil {
		return 0, err
	}
	if w.length >= 0 && w.written+int64(len(p)) > w.length {
		w.flags |= tooLong
	}
	if w.is(tooLong) { // a later part that fits would stand where this one belongs
		return 0, http.ErrContentLength
	}
	for {
		t := w.getScratch()
		if len(p) <= bufferSize-t.n {
			t.n += copy(t.buf[t.n:], p)
			w.written += int64(len(p))
			return n + len(p), nil
		}
		part := p
		if t.n > 0 { // fill up, so that sniffing sees enough
			part = p[:copy(t.buf[t.n:], p)]
			t.n = bufferSize
			err = w.sendLocked(t.buf[:])
		} else {
			err = w.sendLocked(p)
		}
		if err != nil {
			return n, err
		}
		t.n = 0
		n += len(part)
		w.written += int64(len(part))
		if p = p[len(part):]; len(p) == 0 {
			return n, nil
		}
	}
}

// sendLocked hands the header, if that is not done yet, and p to the connection, to which more will
// follow. Once that has failed nothing is sent any more: what was lost would be a hole in the
// response.
func (w *response) sendLocked(p []byte) error {
	if w.err == nil {
		w.err = w.trySendLocked(p)
	}
	return w.err
}

func (w *response) trySendLocked(p []byte) error {
	s := w.x.s
	if !w.is(sentHeader) {
		head := w.is(isHead)
		fields := w.completeLocked(p, false)
		w.flags |= sentHeader
		if head {
			w.flags |= sentEnd
		}
		if err := s.WriteHeaders(fields, head); err != nil {
			return err
		}
	}
	w.x.sc.d.outputPending()
	if w.scratch != nil {
		w.scratch.n = 0
	}
	if len(p) == 0 || w.is(isHead) {
		return nil
	}
	_, err := s.Write(p)
	return err
}

// finish ends the response when the handler has returned. If no call uses the stream any more, it
// may be released with that.
func (w *response) finish(alone bool) (released bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	released, err := w.finishLocked(alone)
	if err != nil {
		w.x.s.Reset(frame.InternalError) // the client must not take what it has for a complete response
	}
	w.endLocked()
	return released
}

func (w *response) finishLocked(alone bool) (released bool, err error) {
	if w.is(sentEnd) {
		if w.is(isAccepted) {
			w.closeTunnel()
		}
		return false, w.err
	}
	if w.err != nil {
		return false, w.err
	}
	if w.status == 0 {
		w.snapshotLocked(http.StatusOK)
	}
	if w.length >= 0 && w.written != w.length && !w.is(isHead) && bodyAllowed(w.status) {
		if err := w.sendLocked(w.buffered()); err != nil {
			return false, err
		}
		return false, http.ErrContentLength
	}
	s, body := w.x.s, w.buffered()
	if w.is(sentHeader) {
		return false, s.Finish(body, w.trailerFields())
	}
	fields := w.completeLocked(body, true)
	trailers := w.trailerFields()
	if w.is(isHead) {
		body = nil
	}
	if alone {
		err = s.ReplyAndRelease(fields, body, trailers)
		return err == nil, err
	}
	return false, s.Reply(fields, body, trailers)
}

// bodyAllowed tells whether a response with this status has content (RFC 9110 §6.4.1).
func bodyAllowed(status uint16) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
