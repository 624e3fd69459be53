package server

import (
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// bufferSize is how many octets of a body are kept until they are sent. A response that fits as a
// whole gets a Content-Length. It is what net/http uses.
const bufferSize = 4 << 10

// responseBuffer keeps what is not sent yet of a response.
type responseBuffer struct {
	fields []header.Field // the final header section, until it is sent
	memory [bufferSize]byte
}

var bufferPool = sync.Pool{New: func() any { return &responseBuffer{fields: make([]header.Field, 0, 16)} }}

// maxBufferedFields is how large a header section may have been for its memory to be kept.
const maxBufferedFields = 64

// takeBuffer takes a buffer from the pool.
func (st *responseState) takeBuffer() {
	st.buf = bufferPool.Get().(*responseBuffer)
	st.body = st.buf.memory[:0]
}

// reset empties the buffer.
func (b *responseBuffer) reset() {
	clear(b.fields) // they keep the handler's strings from being freed
	b.fields = b.fields[:0]
	if cap(b.fields) > maxBufferedFields {
		b.fields = nil
	}
}

// releaseBuffer empties the buffer and puts it back into the pool.
func (st *responseState) releaseBuffer() {
	if b := st.buf; b != nil {
		st.buf, st.body = nil, nil
		b.reset()
		bufferPool.Put(b)
	}
}

// Write takes p as the next part of the body: it buffers p, or sends it when it does not fit.
func (w *response) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.responseState == nil {
		return 0, errWriteAfterReturn
	}
	if w.isAccepted {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.freezeHeaderLocked(http.StatusOK)
	}
	if w.noContent {
		return 0, http.ErrBodyNotAllowed
	}
	if err := w.checkLocked(); err != nil {
		return 0, err
	}
	w.tooLong = w.tooLong || w.length >= 0 && w.written+int64(len(p)) > w.length
	if w.tooLong { // a later part that fits would be sent in place of this one
		return 0, http.ErrContentLength
	}
	if w.buf == nil { // a flush has put it back
		w.takeBuffer()
	}
	for {
		if len(p) <= bufferSize-len(w.body) {
			w.body = append(w.body, p...)
			w.written += int64(len(p))
			return n + len(p), nil
		}
		part := p
		if len(w.body) > 0 { // fill the buffer, so that there is enough to detect the Content-Type
			part = p[:bufferSize-len(w.body)]
			w.body = append(w.body, part...)
			err = w.sendLocked(w.body)
		} else {
			err = w.sendLocked(p)
		}
		if err != nil {
			return n, err
		}
		n += len(part)
		w.written += int64(len(part))
		if p = p[len(part):]; len(p) == 0 {
			return n, nil
		}
	}
}

// sendLocked hands the header, if that is not done yet, and p to the connection; more will follow.
// Once that has failed nothing is sent any more, since the response would lack a part.
func (w *response) sendLocked(p []byte) error {
	if w.err == nil {
		w.err = w.trySendLocked(p)
	}
	return w.err
}

func (w *response) trySendLocked(p []byte) error {
	s := w.x.s
	if !w.sentHeader {
		fields := w.addDefaultFieldsLocked(p, false)
		w.sentHeader, w.sentEnd = true, w.isHead
		if err := s.WriteHeaders(fields, w.isHead); err != nil {
			return err
		}
	}
	w.x.sc.d.outputPending()
	w.body = w.body[:0]
	if len(p) == 0 || w.isHead {
		return nil
	}
	_, err := s.Write(p)
	return err
}

// finish ends the response when the handler has returned. alone says that no other call uses the
// stream, which may then be released with the last frame.
func (w *response) finish(alone bool) (released bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 && w.err == nil {
		w.freezeHeaderLocked(http.StatusOK)
	}
	s, body, err := w.x.s, w.body, w.err
	switch {
	case w.sentEnd:
		if w.isAccepted && !w.isHijacked {
			w.closeTunnelLocked()
		}
	case err != nil:
	case w.length >= 0 && w.written != w.length && !w.isHead && !w.noContent:
		if err = w.sendLocked(body); err == nil {
			err = http.ErrContentLength
		}
	case w.sentHeader:
		err = s.Finish(body, w.trailerFieldsLocked())
	default: // the whole response in one call
		fields := w.addDefaultFieldsLocked(body, true)
		var trailers []header.Field
		if w.header != nil {
			trailers = w.trailerFieldsLocked()
		}
		if w.isHead {
			body = nil
		}
		if alone {
			err = s.ReplyAndRelease(fields, body, trailers)
			released = err == nil
		} else {
			err = s.Reply(fields, body, trailers)
		}
	}
	if err != nil {
		s.Reset(frame.InternalError) // the client must not take what it has for a complete response
	}
	w.detachLocked()
	return released
}
