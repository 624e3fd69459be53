package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// configuredHTTP1 answers HTTP/1.1 on connections of a configured http.Server for which ALPN has
// chosen "h2": see Config.IgnoreALPN. net/http hands these over, and closes them when the function
// that it has called returns.
type configuredHTTP1 struct {
	cfg  *Config
	once sync.Once
	s    *http.Server // made by server
}

// serve answers HTTP/1.1 on a connection of which read was read since start, and returns when it
// has ended, also where a handler has hijacked it. h is net/http's own.
func (c1 *configuredHTTP1) serve(hs *http.Server, tc *tls.Conn, h http.Handler, read []byte, start time.Time) {
	ctx := context.Background()
	if b, ok := h.(interface{ BaseContext() context.Context }); ok {
		ctx = b.BaseContext()
	}
	header := headerDeadline{headerDeadlines, start, timesHandshakes}
	c := &alpnConn{Conn: tc, read: read, header: header, ended: make(chan struct{})}
	ctx = context.WithValue(ctx, alpnHandlerKey{}, h)
	if err := c1.server(hs).Serve(&singleListener{ctx: ctx, c: c}); errors.Is(err, errSingleConn) {
		<-c.ended
	}
}

// server returns the http.Server for HTTP/1.1. hs, whose fields it has, begins with StateNew and
// ends with StateClosed what it hands over.
func (c1 *configuredHTTP1) server(hs *http.Server) *http.Server {
	c1.once.Do(func() {
		c1.s = &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Context().Value(alpnHandlerKey{}).(http.Handler).ServeHTTP(w, r)
			}),
			DisableGeneralOptionsHandler: true, // net/http's handler has one
			ReadTimeout:                  hs.ReadTimeout,
			ReadHeaderTimeout:            cmp.Or(c1.cfg.sniffTimeout(hs), -1),
			WriteTimeout:                 hs.WriteTimeout,
			IdleTimeout:                  cmp.Or(hs.IdleTimeout, hs.ReadTimeout, -1),
			MaxHeaderBytes:               hs.MaxHeaderBytes,
			ErrorLog:                     hs.ErrorLog,
			BaseContext:                  func(l net.Listener) context.Context { return l.(*singleListener).ctx },
			ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
				return context.WithValue(ctx, http.ServerContextKey, hs)
			},
			ConnState: func(nc net.Conn, state http.ConnState) {
				if f := hs.ConnState; f != nil && state != http.StateNew && state != http.StateClosed {
					f(nc.(*alpnConn).Conn, state)
				}
			},
			Protocols: new(http.Protocols),
		}
		c1.s.Protocols.SetHTTP1(true)
	})
	return c1.s
}

// shutdown closes connections that are idle, and the others when their request is answered. It does
// not wait.
func (c1 *configuredHTTP1) shutdown(hs *http.Server) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = c1.server(hs).Shutdown(ctx) // returns the error of ctx
}

// alpnHandlerKey finds the http.Handler of net/http in the context of a request.
type alpnHandlerKey struct{}

// alpnConn is a TLS connection that net/http serves with HTTP/1.1 since it does not know it.
type alpnConn struct {
	*tls.Conn
	read   []byte // of what was read already, what Read has not returned
	header headerDeadline
	once   sync.Once
	ended  chan struct{} // closed by Close
}

// Read returns what was read already, and then reads the connection.
func (c *alpnConn) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.read)
	c.read = c.read[n:]
	return n, nil
}

// SetReadDeadline is that of prefixConn.
func (c *alpnConn) SetReadDeadline(t time.Time) error { return c.Conn.SetReadDeadline(c.header.of(t)) }

// Close closes the connection.
func (c *alpnConn) Close() error {
	defer c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}

// takeOverIgnoringALPN serves a connection of net/http as the client's first octets say.
func (h2 *http2Server) takeOverIgnoringALPN(c1 *configuredHTTP1, hs *http.Server, tc *tls.Conn, h http.Handler) {
	p := configured(hs)
	if !p.HTTP1() {
		h2.takeOver(hs, tc, h, nil)
		return
	}
	stop := readWithin(tc, h2.cfg.firstByteTimeout(hs))
	var start time.Time
	got, err := readFirstLine(tc, func() {
		start = time.Now()
		stop()
		stop = readWithin(tc, h2.cfg.sniffTimeout(hs))
	})
	stop()
	_ = tc.SetReadDeadline(time.Time{})
	switch {
	case isPreface(got) && p.HTTP2():
		h2.takeOver(hs, tc, h, got)
	case len(got) > 0 && !isPreface(got) && (err != nil || !isOtherLine(got)):
		c1.serve(hs, tc, h, got, start)
	}
}
