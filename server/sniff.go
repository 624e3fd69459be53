package server

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// minPreface is how much of the preface a client must have sent for us to answer it with HTTP/2
// even if it goes on differently: no method of HTTP/1.1 begins like that (RFC 9113 §3.4).
const minPreface = len("PRI * HTTP/2")

// maxSniffedLine is how many octets of the first line of a client are read to see whether it is one
// of HTTP/1.1. A longer line is left to the http.Server inside.
const maxSniffedLine = 4 << 10

// requestLine matches what net/http takes for a request line of HTTP/1.0 or HTTP/1.1 (RFC 9112 §3).
// What is wrong with it in detail is for net/http to say.
var requestLine = regexp.MustCompile(`^[^ ]+ [^ ]+ HTTP/1\.[0-9]\r?\n`)

// sniff looks whether a client begins with the preface of HTTP/2, and hands the connection over to
// what speaks the protocol. It is false if there is nothing to hand over: the client has gone or
// speaks neither; err is nil where it has gone without a word. state is nil on cleartext.
func (a *arrival) sniff(state *tls.ConnectionState, http1, http2 bool) (handedOver bool, err error) {
	switch {
	case !http1 && !http2:
		return false, errNotServed
	case !http2:
		a.serveHTTP1(a.received, state)
		return true, nil
	case !http1:
		a.serveHTTP2(connTask{tls: state, received: a.received})
		return true, nil
	}
	start := time.Now()
	stop := a.readWithin(a.cfg.firstByteTimeout(a.s.inner))
	from := newPeeker(a.nc, a.received)
	got, err := readFirstLine(from, func() {
		start = time.Now()
		stop()
		stop = a.readWithin(a.cfg.sniffTimeout(a.s.inner))
	})
	stop()
	_ = a.nc.SetReadDeadline(time.Time{})
	switch {
	case len(got) == 0 && err == io.EOF: //nolint:errorlint // an error that wraps it is no orderly end
		return false, nil
	case len(got) == 0:
		return false, err
	case len(got) >= minPreface && strings.HasPrefix(preface, string(got[:minPreface])):
		if from.left() {
			got = nil
		}
		a.serveHTTP2(connTask{tls: state, received: append(got, from.ahead()...)})
		return true, nil
	case err == nil && bytes.IndexByte(got, '\n') >= 0 && !requestLine.Match(got):
		drain(a.nc)
		return false, errNotServed
	case from.left() && !a.late(start):
		a.serveHTTP1(nil, state)
		return true, nil
	}
	if err := from.take(); err != nil {
		return false, err
	}
	a.sniffed = start
	a.serveHTTP1(append(got, from.ahead()...), state)
	return true, nil
}

// late reports whether so much of the time for a request's header has passed since start that the
// http.Server inside must not give it anew.
func (a *arrival) late(start time.Time) bool {
	d := cmp.Or(a.s.inner.ReadHeaderTimeout, a.s.inner.ReadTimeout)
	return d > 0 && time.Since(start) > d/16
}

// readWithin bounds the reads to come, until stop is called; 0 or less is no limit.
func (a *arrival) readWithin(d time.Duration) (stop func() bool) {
	var by time.Time
	if d > 0 {
		by = time.Now().Add(d)
	}
	_ = a.nc.SetReadDeadline(by) // as in handshake
	return netconn.CloseAfter(a.nc, d)
}

// readFirstLine reads the preface of HTTP/2, and no octet beyond it; or, where what comes differs
// from it, the first line, and what has come with it. It stops at maxSniffedLine, and returns what
// it has with an error. begun is called when the first octet has come.
func readFirstLine(r io.Reader, begun func()) ([]byte, error) {
	buf := make([]byte, len(preface))
	n := 0
	var patience netconn.Patience
	for n < len(preface) && strings.HasPrefix(preface, string(buf[:n])) {
		k, err := patience.Read(r, buf[n:])
		n += k
		if err != nil {
			return buf[:n], err
		}
		if k == n {
			begun()
		}
	}
	if n >= minPreface && strings.HasPrefix(preface, string(buf[:minPreface])) {
		return buf[:n], nil
	}
	return readLine(r, buf[:n])
}

// readLine reads on until line has a line feed.
func readLine(r io.Reader, line []byte) ([]byte, error) {
	var patience netconn.Patience
	for bytes.IndexByte(line, '\n') < 0 {
		if len(line) >= maxSniffedLine {
			return line, nil
		}
		buf := make([]byte, maxSniffedLine-len(line))
		k, err := patience.Read(r, buf)
		line = append(line, buf[:k]...)
		if err != nil {
			return line, err
		}
	}
	return line, nil
}
