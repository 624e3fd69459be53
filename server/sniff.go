package server

import (
	"crypto/tls"
	"net"
	"strings"
	"time"
)

// minPreface is how much of the preface a client must have sent for us to answer it with HTTP/2 even if it goes on
// differently: no method of HTTP/1.1 begins like that (RFC 9113 §3.4).
const minPreface = len("PRI * HTTP/2")

// sniff looks whether a client begins with the preface of HTTP/2, and hands the connection over to what speaks the
// protocol. It is false if there is nothing to hand over. state is nil on cleartext.
func (a *arrival) sniff(state *tls.ConnectionState, http1, http2 bool) (handedOver bool) {
	switch {
	case !http2:
		a.serveHTTP1(nil, state)
		return true
	case !http1:
		a.serveHTTP2(connTask{tls: state})
		return true
	}
	if d := a.s.eng.cfg.sniffTimeout(a.s.inner); d > 0 {
		_ = a.nc.SetReadDeadline(time.Now().Add(d)) // an error comes again with the read
	}
	got, same := readPreface(a.nc)
	_ = a.nc.SetReadDeadline(time.Time{})
	switch {
	case len(got) == 0:
		return false
	case same || len(got) >= minPreface && strings.HasPrefix(preface, string(got[:minPreface])):
		a.serveHTTP2(connTask{tls: state, received: got})
		return true
	}
	a.serveHTTP1(got, state)
	return true
}

// readPreface reads until what came differs from the preface or is all of it. Nothing beyond it is read.
func readPreface(nc net.Conn) (got []byte, same bool) {
	buf := make([]byte, len(preface))
	n := 0
	for n < len(buf) {
		k, err := nc.Read(buf[n:])
		n += k
		if !strings.HasPrefix(preface, string(buf[:n])) || err != nil {
			return buf[:n], false
		}
	}
	return buf, true
}
