package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// http1Writer is what net/http's ResponseWriter of HTTP/1.1 can do.
type http1Writer interface {
	http.ResponseWriter
	http.CloseNotifier //nolint:staticcheck // deprecated, and part of the contract
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
	FlushError() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	EnableFullDuplex() error
}

// hijackable is the ResponseWriter of a request that came over a prefixConn. Hijack returns the
// connection that the listener or the caller of ServeConn gave. It lacks an unexported method of
// net/http's ResponseWriter, by which http.MaxBytesReader has the connection closed where a body is
// too large. So a prefixConn is not used where a connection can be served as it is.
type hijackable struct{ http1Writer }

// withHijack returns a handler that calls ofServer, or the handler that the connection has of its
// own, with a ResponseWriter whose Hijack returns what the listener gave.
func withHijack(ofServer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := ofServer
		pc, _ := r.Context().Value(pendingConnKey{}).(*pendingConn)
		if pc != nil && pc.http1Handler != nil {
			h = pc.http1Handler
		}
		if full, ok := w.(http1Writer); ok && pc != nil && pc.prefixConn != nil {
			w = &hijackable{full}
		}
		h.ServeHTTP(w, r)
	})
}

// Hijack takes the connection over. What was read ahead of it is in the Reader, as with net/http.
func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := w.http1Writer.Hijack()
	if err != nil {
		return nil, nil, err
	}
	p, ok := nc.(prefixed)
	if !ok {
		return nc, rw, nil
	}
	c := p.unwrap()
	r := rw.Reader // reads through c
	if len(c.Prefix) > 0 {
		// A caller that goes on to read the connection takes what came before from r.Buffered
		// alone.
		r = bufio.NewReaderSize(r, r.Buffered()+len(c.Prefix)+minReadAhead)
		_, _ = r.Peek(rw.Reader.Buffered() + len(c.Prefix)) // an error is returned again by Read
	}
	return c.Conn, bufio.NewReadWriter(r, bufio.NewWriter(c.Conn)), nil
}

// minReadAhead is the size of net/http's buffer.
const minReadAhead = 4 << 10
