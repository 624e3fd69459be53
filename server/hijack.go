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

// hijackable is the ResponseWriter of a request that came over a prefixConn. Hijack gives the
// connection that the listener or the caller of ServeConn gave. One method of net/http's own is not
// there, since no other package can have it: http.MaxBytesReader tells the ResponseWriter with it
// to close the connection where a body is too large. So a connection that can be served as it is,
// is.
type hijackable struct{ http1Writer }

// showHijacked calls ofServer, or the handler that the connection has of its own. Hijack, called by
// it, returns what the listener gave, where that is not what net/http has.
func showHijacked(ofServer http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := ofServer
		a, _ := r.Context().Value(arrivalKey{}).(*arrival)
		if a != nil && a.http1 != nil {
			h = a.http1
		}
		if full, ok := w.(http1Writer); ok && a != nil && a.prefix != nil {
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
	c := p.base()
	r := rw.Reader // reads through c
	if len(c.Prefix) > 0 {
		// Whoever reads the connection itself looks for what came before in r.Buffered alone.
		r = bufio.NewReaderSize(r, r.Buffered()+len(c.Prefix)+minReadAhead)
		_, _ = r.Peek(rw.Reader.Buffered() + len(c.Prefix)) // an error comes again with the read
	}
	return c.Conn, bufio.NewReadWriter(r, bufio.NewWriter(c.Conn)), nil
}

// minReadAhead is the size of net/http's buffer.
const minReadAhead = 4 << 10
