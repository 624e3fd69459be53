package server

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"io"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/netconn"
)

// minPreface is how many octets of the preface a client must have sent to be answered with HTTP/2
// even if it goes on differently: no request of HTTP/1.1 begins like that (RFC 9113 §3.4).
const minPreface = len("PRI * HTTP/2")

// maxSniffedLine is how many octets of the first line of a client are read to see whether it is one
// of HTTP/1.1. A longer line is left to Server.http1.
const maxSniffedLine = 4 << 10

// requestLine matches what net/http takes for a request line of HTTP/1.0 or HTTP/1.1 (RFC 9112 §3).
// Whether a line that matches is right in all details net/http decides.
var requestLine = regexp.MustCompile(`^[^ ]+ [^ ]+ HTTP/1\.[0-9]\r?\n`)

// sniff reads the first octets of a client to see whether they are the preface of HTTP/2, which on
// cleartext comes from clients with prior knowledge (RFC 9113 §3.3), and hands the connection over
// to Server.http2 or Server.http1, where http2 and http1 allow it. Where it has handed nothing
// over, err says why: errNotServed for a client that speaks neither protocol, nil for one that has
// left without sending an octet. state is nil on cleartext.
func (pc *pendingConn) sniff(state *tls.ConnectionState, http1, http2 bool) (handedOver bool, err error) {
	switch {
	case !http1 && !http2:
		return false, errNotServed
	case !http2:
		pc.serveHTTP1(pc.received, state)
		return true, nil
	case !http1:
		pc.serveHTTP2(connTask{tls: state, received: pc.received})
		return true, nil
	}
	start := time.Now()
	stop := readWithin(pc.nc, pc.firstByteTimeout())
	p := newPeeker(pc.nc, pc.received)
	got, err := readFirstLine(p, func() {
		start = time.Now()
		stop()
		stop = readWithin(pc.nc, pc.cfg.sniffTimeout(pc.s.http1))
	})
	stop()
	_ = pc.nc.SetReadDeadline(time.Time{})
	switch {
	case len(got) == 0 && err == io.EOF: //nolint:errorlint // an error that wraps it is no orderly end
		return false, nil
	case len(got) == 0:
		return false, err
	case isPreface(got):
		if p.untouched() {
			got = nil
		}
		pc.serveHTTP2(connTask{tls: state, received: append(got, p.rest()...)})
		return true, nil
	case err == nil && isOtherLine(got):
		drain(pc.nc)
		return false, errNotServed
	case p.untouched() && !pc.headerTimeSpent(start):
		pc.serveHTTP1(nil, state)
		return true, nil
	}
	if err := p.consume(); err != nil {
		return false, err
	}
	pc.headerStart = start
	pc.serveHTTP1(append(got, p.rest()...), state)
	return true, nil
}

// isPreface reports whether what a client has sent is to be answered with HTTP/2.
func isPreface(got []byte) bool {
	return len(got) >= minPreface && strings.HasPrefix(frame.Preface, string(got[:minPreface]))
}

// isOtherLine reports whether got has a whole line that is no request line of HTTP/1.1.
func isOtherLine(got []byte) bool {
	return bytes.IndexByte(got, '\n') >= 0 && !requestLine.Match(got)
}

// headerTimeSpent reports whether so much of the time for a request's header has passed since start
// that Server.http1 must not give all of it again.
func (pc *pendingConn) headerTimeSpent(start time.Time) bool {
	d := cmp.Or(pc.s.http1.ReadHeaderTimeout, pc.s.http1.ReadTimeout)
	return d > 0 && time.Since(start) > d/16
}

// readWithin sets a limit of d for the reads of nc that follow, until stop is called; 0 or less is
// none.
func readWithin(nc net.Conn, d time.Duration) (stop func() bool) {
	var by time.Time
	if d > 0 {
		by = time.Now().Add(d)
	}
	_ = nc.SetReadDeadline(by) // where nc refuses or ignores that, the timer closes it
	return netconn.CloseAfter(nc, d)
}

// readFirstLine reads the preface of HTTP/2, and no octet beyond it; or, where what comes differs
// from it, the first line, and what has come with it. It stops at maxSniffedLine, and returns what
// it has with an error. begun is called when the first octet has come.
func readFirstLine(r io.Reader, begun func()) ([]byte, error) {
	buf := make([]byte, len(frame.Preface))
	n := 0
	var patience netconn.Patience
	for n < len(frame.Preface) && strings.HasPrefix(frame.Preface, string(buf[:n])) {
		k, err := patience.Read(r, buf[n:])
		n += k
		if err != nil {
			return buf[:n], err
		}
		if k == n {
			begun()
		}
	}
	if isPreface(buf[:n]) {
		return buf[:n], nil
	}
	return readLine(r, buf[:n])
}

// readLine appends to line what it reads from r, until there is a line feed.
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
