package client

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// responseBody is the Body of a response. Read may be called by one goroutine at a time, Close by
// any.
type responseBody struct {
	x      *exchange
	closed atomic.Bool
	end    error // what Read returns from now on, nil before its end; owned by the reader
}

// isEOF reports whether err is io.EOF itself, which the error of a lost connection may wrap.
func isEOF(err error) bool { return err == io.EOF } //nolint:errorlint // it is this very value

// Read reads the body. It returns io.EOF at its end, when the trailers are there too; an *Error
// when the stream or the connection was lost; and the error of the request's context when that has
// ended.
func (b *responseBody) Read(p []byte) (int, error) {
	x := b.x
	switch {
	case b.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.end != nil:
		return 0, b.end
	case !x.enter():
		return 0, http.ErrBodyReadAfterClose
	}
	defer x.leave()
	n, err := x.stream.Read(p)
	switch {
	case err == nil:
		return n, nil
	case isEOF(err):
		b.copyTrailers()
		b.end = err
		x.responseDone()
		return n, err
	case b.closed.Load() || errors.Is(err, conn.ErrReadClosed):
		return n, http.ErrBodyReadAfterClose
	default:
		b.end = awaitTimeout(x.req, x.readFailed(err))
	}
	x.finish()
	return n, b.end
}

// readFailed returns the error of a response that has ended early.
func (x *exchange) readFailed(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.mu.cancelErr != nil {
		return x.mu.cancelErr
	}
	return &Error{Addr: x.cc.addr, StreamID: x.stream.ID(), Err: x.cc.userError(err)}
}

// copyTrailers fills in Response.Trailer.
func (b *responseBody) copyTrailers() {
	fields := b.x.stream.Trailers()
	if len(fields) == 0 {
		return
	}
	t := b.x.resp.Trailer
	if t == nil {
		t = make(http.Header, len(fields))
		b.x.resp.Trailer = t
	}
	for _, f := range fields {
		key := header.ByLower(f.Name).Canon
		t[key] = append(t[key], f.Value)
	}
}

// Close ends the exchange: the rest of the response is cancelled, and what was not sent of the
// request.
func (b *responseBody) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	x := b.x
	if x.enter() {
		x.stream.CloseRead()
		if x.upload != nil || !x.stream.RemoteEnded() {
			x.stream.Reset(frame.Cancel)
		}
		x.leave()
	}
	x.finish()
	return nil
}
