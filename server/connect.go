package server

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// Errors of AcceptConnect.
var (
	// ErrNotConnect is returned where the request is not CONNECT, or did not come over HTTP/2 to
	// this package.
	ErrNotConnect = errors.New("server: not a CONNECT request over HTTP/2")
	// ErrAnswered is returned where the response has begun already, with a status that is not 2xx
	// or with content.
	ErrAnswered = errors.New("server: the CONNECT request is answered already")
)

// AcceptConnect answers a CONNECT request (RFC 9113 §8.5), or one of extended CONNECT (RFC 8441;
// see Config.EnableConnectProtocol), with 200 and the fields of w.Header, and returns the stream as
// a connection. It is for the handler to use until it returns: that closes it, as Close does, and a
// panic resets it. Meanwhile the handler is one of the MaxConcurrentStreams of its connection. The
// request's context ends when the stream is reset, and when the server's Shutdown begins, then with
// the cause http.ErrServerClosed: Shutdown waits for the handler, and the stream goes on until it
// returns.
//
// Deadlines that ReadTimeout and WriteTimeout have set are taken away. StallTimeout holds. The
// request's Body and w must not be used any more; Write returns http.ErrHijacked. A second call
// returns the same Tunnel.
//
// w is the handler's ResponseWriter, or what wraps it and has a method Unwrap()
// http.ResponseWriter. The error is ErrNotConnect, ErrAnswered, or that of a stream which has died
// before the response was on its way. A client that has got the response may have sent octets and
// gone by now: reading the Tunnel returns them, and then the error.
func AcceptConnect(w http.ResponseWriter) (*conn.Tunnel, error) {
	w = unwrap(w)
	if r, ok := w.(*response); ok {
		return r.acceptConnect(false)
	}
	return nil, fmt.Errorf("%w: the ResponseWriter is a %T", ErrNotConnect, w)
}

// acceptConnect is AcceptConnect for the ResponseWriter itself. With hijack the tunnel stays open
// when the handler returns.
func (w *response) acceptConnect(hijack bool) (*conn.Tunnel, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.x.s
	switch {
	case w.responseState == nil:
		return nil, errWriteAfterReturn
	case !w.isConnect:
		return nil, ErrNotConnect
	case w.isAccepted:
		return s.Tunnel(), nil
	case w.status != 0 && !w.makesTunnel || w.written > 0:
		return nil, ErrAnswered
	}
	if w.status == 0 {
		w.freezeHeaderLocked(http.StatusOK)
	}
	if err := w.sendLocked(w.body); err != nil {
		return nil, err
	}
	w.releaseBuffer()
	w.isAccepted, w.isHijacked, w.sentEnd = true, hijack, true
	w.x.set(connectAccepted)
	if hijack {
		w.x.set(bodyClosed) // the end of the handler does not close it
	}
	if w.x.sc.srv.isDraining() { // shutdown may have looked for tunnels before
		w.x.cancelable().cancel(http.ErrServerClosed)
	}
	_ = s.SetReadDeadline(time.Time{}) // fails only on a dead stream
	_ = s.SetWriteDeadline(time.Time{})
	w.x.uses.Add() // the tunnel, which calls leave when it is closed
	t := conn.NewTunnel(s, w.x.leave)
	w.x.sc.c.FlushNoWait()
	return t, nil
}

// closeTunnelLocked closes what AcceptConnect has returned.
func (w *response) closeTunnelLocked() {
	if t := w.x.s.Tunnel(); t != nil {
		_ = t.Close() // returns nil
	}
}
