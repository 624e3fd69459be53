package server

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// refuseTimeout bounds how long the answer of RefuseConnect may wait for the client to read, and
// lingerTime how long a connection that is to be closed waits for the client's end then.
const (
	refuseTimeout = 10 * time.Second
	lingerTime    = 500 * time.Millisecond
)

// RefuseConnect answers a CONNECT request of HTTP/1.1 with a status that is not 2xx, the fields of
// w.Header and body, and keeps the connection for the next request: net/http closes it behind
// CONNECT since Go 1.27, and a client that answers a 407 by NTLM or Negotiate needs the same
// connection. The answer is sent when the handler has returned, which must not use w any more.
//
// A client that has sent octets of its tunnel behind the request, without waiting, has its
// connection closed: they are no request. Use RefuseConnect with a status at which clients wait.
//
// w is the handler's ResponseWriter, or what wraps it and has a method Unwrap()
// http.ResponseWriter. Where the connection cannot be kept, the error is ErrNotConnect and nothing
// was done: over HTTP/2, where it is kept anyway, for HTTP/1.0 and "Connection: close", for a
// request with content, once Shutdown has begun, and with a server that is not a Server.
func RefuseConnect(w http.ResponseWriter, r *http.Request, status int, body []byte) error {
	pc, ok := r.Context().Value(pendingConnKey{}).(*pendingConn)
	switch {
	case !ok || r.Method != http.MethodConnect || r.ProtoMajor != 1 || r.ProtoMinor < 1 || r.Close:
		return ErrNotConnect
	case r.ContentLength != 0 || len(r.TransferEncoding) != 0 || w.Header().Get("Connection") != "":
		return ErrNotConnect
	case pc.s.inShutdown.Load() || keepAlivesDisabled(pc.s.http1):
		return ErrNotConnect
	}
	h := w.Header().Clone()
	pc.setKept(false)
	pc.track() // Server.http1 does so no longer, once it is hijacked
	early, err := pc.hijack(unwrap(w))
	if err != nil {
		pc.untrack()
		return fmt.Errorf("%w: %w", ErrNotConnect, err)
	}
	if len(early) > 0 {
		h.Set("Connection", "close")
	}
	handler := r.Context()
	go func() { // ends when the connection is handed over, within refuseTimeout; Shutdown waits for it
		<-handler.Done() // so that what it does has been done when the next request comes
		h.Set("Date", pc.s.http2.date.now())
		pc.goOn(refusalOf(status, h, body), len(early) > 0)
	}()
	return nil
}

// refusalOf returns a response of HTTP/1.1 that says its length once, whatever is in h.
func refusalOf(status int, h http.Header, body []byte) []byte {
	maps.DeleteFunc(h, func(name string, _ []string) bool {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return true
		}
		return false
	})
	h.Set("Content-Length", fmt.Sprint(len(body)))
	b := fmt.Appendf(nil, "HTTP/1.1 %03d %s\r\n", status, http.StatusText(status))
	buf := bytes.NewBuffer(b)
	_ = h.Write(buf) // a Buffer takes everything
	buf.WriteString("\r\n")
	buf.Write(body)
	return buf.Bytes()
}

// goOn sends a response on a connection that was taken from Server.http1, and has the next request
// served, or closes it.
func (pc *pendingConn) goOn(response []byte, last bool) {
	_ = pc.nc.SetWriteDeadline(time.Now().Add(refuseTimeout)) // where nc refuses or ignores that, the timer closes it
	stop := netconn.CloseAfter(pc.nc, refuseTimeout)
	_, err := pc.nc.Write(response)
	if timely := stop(); !timely && err == nil {
		err = os.ErrDeadlineExceeded
	}
	switch {
	case err == nil && last:
		err = errEarlyOctets
		pc.linger()
	case err == nil && !pc.setKept(true):
		err = http.ErrServerClosed
	}
	if err != nil {
		pc.close(err)
		return
	}
	_ = pc.nc.SetWriteDeadline(time.Time{})
	pc.switched.Store(false)
	pc.received, pc.prefixConn, pc.headerStart = nil, nil, time.Time{}
	pc.serve()
}

// setKept says whether the connection waits for its next request, so that Shutdown closes it at
// once. It reports whether there will be one.
func (pc *pendingConn) setKept(kept bool) bool {
	s := pc.s
	s.mu.Lock()
	defer s.mu.Unlock()
	pc.kept = kept
	return !s.inShutdown.Load()
}

// serveKept waits for the next request of HTTP/1.1 over TLS, as sniff does on cleartext: to
// Server.http1 the connection would be a new one, for which IdleTimeout does not count.
func (pc *pendingConn) serveKept(state *tls.ConnectionState) (handedOver bool, err error) {
	stop := readWithin(pc.nc, pc.firstByteTimeout())
	var first [1]byte
	var patience netconn.Patience
	n, err := patience.Read(pc.nc, first[:])
	stop()
	_ = pc.nc.SetReadDeadline(time.Time{}) // fails on a dead connection only
	switch {
	case n > 0: // an error comes again
	case err == io.EOF: //nolint:errorlint // an error that wraps it is no orderly end
		return false, nil
	default:
		return false, err
	}
	pc.headerStart = time.Now()
	pc.serveHTTP1(first[:], state)
	return true, nil
}

// firstByteTimeout bounds the time until the client has sent the first octet of a request; 0 is no
// limit.
func (pc *pendingConn) firstByteTimeout() time.Duration {
	hs := pc.s.http1
	if d := cmp.Or(hs.IdleTimeout, hs.ReadTimeout); pc.kept && d > 0 {
		return d
	}
	return pc.cfg.firstByteTimeout(hs)
}

// errEarlyOctets is why a connection ends that RefuseConnect does not keep.
var errEarlyOctets = errors.New("server: the client has sent octets of a tunnel that was refused")

// linger lets the client read the last response: the kernel resets a connection that is closed with
// octets that were not read.
func (pc *pendingConn) linger() {
	if h, ok := pc.nc.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite() // fails on a dead connection only
	}
	_ = pc.nc.SetReadDeadline(time.Now().Add(lingerTime)) // where nc refuses or ignores that, the timer closes it
	defer netconn.CloseAfter(pc.nc, lingerTime)()
	_, _ = io.CopyN(io.Discard, pc.nc, maxDrained) // ends with an error, or has read much
}
