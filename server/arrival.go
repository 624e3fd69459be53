package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/tlssock"
)

// arrival is a connection of a Server, from the moment it is there until it is known what it
// speaks.
type arrival struct {
	s     *Server
	nc    net.Conn
	base  net.Conn // what nc lies on where that may change (see tlssock.Leave), nc otherwise
	ctx   context.Context
	cfg   *Config       // the server's, or this connection's own
	h     http.Handler  // of this connection; nil: the server's
	http1 http.Handler  // what answers HTTP/1.1 on this connection; nil: what answers it on the others
	over  chan struct{} // closed when the connection has ended; nil if nobody waits for that
	err   error         // why it has ended; set before over is closed

	received []byte        // what its owner had read from it
	upgraded *conn.Upgrade // of HTTP/1.1, answered with 101 by the connection's owner; nil: there was none

	prefix   *prefixConn // what HTTP/1.1 is served on, where octets were taken from nc; nil: nc itself
	switched atomic.Bool // HTTP/1.1 goes on as HTTP/2

	sniffed time.Time // when we began to read what the http.Server inside takes for the first of its octets; zero: never
}

// ServeConn serves one connection and returns when it has ended, or was taken over by a handler of
// HTTP/1.1 (http.Hijacker). On TLS, ALPN says which protocol is spoken; without ALPN, and on
// cleartext, the client's first octets say it. There is no listener, so BaseContext is not called.
func (s *Server) ServeConn(nc net.Conn) {
	_ = s.ServeConnWith(nc, ConnOptions{}) // the error is for those who ask
}

// newArrival notes a new connection. The caller serves it.
func (s *Server) newArrival(ctx context.Context, nc net.Conn, over chan struct{}) *arrival {
	a := &arrival{s: s, nc: nc, base: listenersConn(nc), cfg: &s.eng.cfg, over: over}
	made := false
	defer func() {
		if !made { // a callback has ended the goroutine, or panics
			_ = nc.Close() // there is nobody to tell
			a.arrived()
		}
	}()
	a.arriving()
	if s.ConnContext != nil {
		if ctx = s.ConnContext(ctx, nc); ctx == nil {
			panic("ConnContext returned nil")
		}
	}
	a.ctx = ctx
	a.setState(http.StateNew)
	made = true
	return a
}

func (a *arrival) arriving() {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.s.arriving[a] = struct{}{}
}

// arrived notes that somebody else keeps the books of the connection.
func (a *arrival) arrived() {
	s := a.s
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.arriving, a)
	if len(s.arriving) == 0 && s.allArrived != nil {
		close(s.allArrived)
		s.allArrived = nil
	}
}

// ended closes the connection and tells whom it concerns. err is why it has ended, nil after an end
// in good order.
func (a *arrival) ended(err error) {
	a.err = err
	defer a.finish() // whatever the callback does
	_ = a.nc.Close() // it may be closed already
	a.arrived()
	a.setState(http.StateClosed)
}

// finish lets ServeConn return.
func (a *arrival) finish() {
	if a.over != nil {
		close(a.over)
	}
}

func (a *arrival) setState(state http.ConnState) {
	if f := a.s.ConnState; f != nil {
		f(a.nc, state)
	}
}

// serve finds out what the client speaks, and serves it.
func (a *arrival) serve() {
	handedOver := false // to the http.Server inside, or to the engine
	var err error
	defer func() {
		if reason := recover(); reason != nil && reason != http.ErrAbortHandler { // of a callback in TLSConfig
			buf := make([]byte, 64<<10)
			buf = buf[:runtime.Stack(buf, false)]
			a.s.logf("http: panic serving %v: %v\n%s", a.nc.RemoteAddr(), reason, buf)
			err = fmt.Errorf("server: panic: %v", reason)
		}
		if !handedOver {
			a.ended(err)
		}
	}()
	state, err := a.handshake()
	if err != nil {
		return
	}
	err = errNotServed // where nothing is handed over
	p := a.s.protocols()
	switch {
	case a.upgraded != nil:
		if handedOver = p.UnencryptedHTTP2(); handedOver {
			a.serveHTTP2(connTask{tls: state, received: a.received, upgrade: a.upgraded})
		}
	case state == nil:
		handedOver, err = a.sniff(nil, p.HTTP1(), p.UnencryptedHTTP2())
	case state.NegotiatedProtocol == protoTLS:
		if handedOver = p.HTTP2(); handedOver {
			a.serveHTTP2(connTask{tls: state, received: a.received})
		}
	case state.NegotiatedProtocol == "" && a.over != nil:
		handedOver, err = a.sniff(state, p.HTTP1(), p.HTTP2())
	case a.s.TLSNextProto[state.NegotiatedProtocol] != nil && len(a.received) > 0:
		err = errNotTheirs
	case p.HTTP1() || a.s.TLSNextProto[state.NegotiatedProtocol] != nil:
		handedOver = true
		a.serveHTTP1(a.received, state)
	}
}

// serveHTTP2 hands the connection over to the engine. It returns at once.
func (a *arrival) serveHTTP2(t connTask) {
	t.ctx, t.hs, t.handler, t.cfg, t.tracked = a.ctx, a.s.inner, a.h, a.cfg, a.arrived
	if t.handler == nil {
		t.handler = a.s.handler()
	}
	t.answerOptions = !a.s.DisableGeneralOptionsHandler
	a.s.eng.serve(a.nc, t, a.ended)
}

// handshake does the TLS handshake where there is one to do. The state is nil on cleartext.
func (a *arrival) handshake() (*tls.ConnectionState, error) {
	h, isTLS := a.nc.(interface {
		HandshakeContext(ctx context.Context) error
	})
	if !isTLS {
		return connectionState(a.nc), nil
	}
	d, begun := a.handshakeTimeout(), time.Now()
	if d > 0 {
		_ = a.nc.SetDeadline(begun.Add(d)) // where it is refused or does nothing, the timer closes it
		defer netconn.CloseAfter(a.base, d)()
	}
	err := h.HandshakeContext(a.ctx)
	if err != nil && d > 0 && time.Since(begun) >= d {
		err = os.ErrDeadlineExceeded // whatever nc says, which may only say that it is closed
	}
	if err != nil {
		err = handshakeError(err)
		a.s.logf("http: TLS handshake error from %s: %v", a.nc.RemoteAddr(), err)
		return nil, err
	}
	_ = a.nc.SetDeadline(time.Time{})
	state := connectionState(a.nc)
	if tc, ok := a.nc.(*tls.Conn); ok && state.NegotiatedProtocol != protoTLS {
		tlssock.Leave(tc) // a handler of HTTP/1.1, or a function of TLSNextProto, may ask for its NetConn
	}
	return state, nil
}

// handshakeError answers a client that speaks HTTP/1.1 without TLS, and returns what to log.
func handshakeError(err error) error {
	var re tls.RecordHeaderError
	if !errors.As(err, &re) || re.Conn == nil {
		return err
	}
	switch string(re.RecordHeader[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
		_, _ = io.WriteString(re.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		return errors.New("client sent an HTTP request to an HTTPS server")
	}
	return err
}

// handshakeTimeout is the shortest of the timeouts that are set, as net/http has it, or else
// PrefaceTimeout.
func (a *arrival) handshakeTimeout() time.Duration {
	s, least := a.s, time.Duration(0)
	for _, d := range []time.Duration{s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout} {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return max(cmp.Or(least, a.cfg.PrefaceTimeout, defaultPrefaceTimeout), 0)
}
