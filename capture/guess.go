package capture

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
	"github.com/sluice-go/sluice/frame"
)

// A guess is what the first octets of a connection say of its protocol.
type guess uint8

const (
	undecided guess = iota
	looksPreface
	looksFrames
	looksTLS
	looksHTTP1
	looksUpgrade // HTTP/1.1 whose first request is an Upgrade to h2c that the server agrees to
	looksUnknown
)

// A view is what a finder has seen.
type view struct {
	dirs   [2][]byte // by Dir
	midway [2]bool   // what was sent before is missing
	last   bool      // no more octets come, or no more can be held
}

// Limits of a view.
const (
	maxFirstLine = 8 << 10  // octets of a first line of HTTP/1.1
	maxFirstHead = 32 << 10 // octets of the head of a request that may be an Upgrade
	maxView      = 128 << 10
)

// guess returns what the connection speaks.
func (v view) guess() guess {
	c, s := v.dirs[Client], v.dirs[Server]
	if g := guessClient(c, s, v.last); g != undecided || len(c) > 0 && !v.midway[Client] && !v.last {
		if g != looksUnknown || !v.midway[Client] {
			return g
		}
	}
	if len(c) == 0 && !v.midway[Client] && !v.last {
		return undecided // the client speaks first in all that is known here
	}
	if g := v.guessMidway(); g != undecided || !v.last {
		return g
	}
	return looksUnknown
}

// guessClient judges what a client begins with; s is what the server answers.
func guessClient(c, s []byte, last bool) guess {
	switch n := min(len(c), len(frame.Preface)); {
	case n == 0:
		return undecided
	case string(c[:n]) == frame.Preface[:n]:
		if n == len(frame.Preface) || last && n >= len("PRI * HTTP/2.0") {
			return looksPreface
		}
		return undecided
	}
	switch tlsrecord.LooksLikeClientHello(c) {
	case tlsrecord.Yes:
		return looksTLS
	case tlsrecord.Maybe:
		return undecided
	default:
	}
	return guessRequest(c, s, last)
}

// guessRequest judges whether octets begin with a request of HTTP/1.1.
func guessRequest(c, s []byte, last bool) guess {
	c = bytes.TrimLeft(c, "\r\n") // RFC 9112 §2.2
	end := bytes.IndexByte(c, '\n')
	line := c
	if end >= 0 {
		line = bytes.TrimSuffix(c[:end], []byte("\r"))
	}
	switch {
	case !requestLine(line, end >= 0):
		return looksUnknown
	case end < 0 && (len(line) > maxFirstLine || last):
		return looksUnknown
	case end < 0:
		return undecided
	}
	return guessUpgrade(c, s, last)
}

// requestLine reports whether a line is a request line (RFC 9112 §3), or, where it is not whole,
// could become one.
func requestLine(line []byte, whole bool) bool {
	method, rest, ok := bytes.Cut(line, []byte(" "))
	if len(method) > 32 {
		return false
	}
	for _, b := range method {
		if (b|0x20 < 'a' || b|0x20 > 'z') && b != '-' && b != '_' {
			return false
		}
	}
	if !whole {
		return true
	}
	i := bytes.LastIndexByte(rest, ' ')
	return ok && len(method) > 0 && i > 0 && bytes.HasPrefix(rest[i+1:], []byte("HTTP/1."))
}

// guessUpgrade tells an Upgrade to h2c from other requests.
func guessUpgrade(c, s []byte, last bool) guess {
	end := bytes.Index(c, []byte("\r\n\r\n"))
	if end < 0 {
		if last || len(c) > maxFirstHead {
			return looksHTTP1
		}
		return undecided
	}
	if !offersH2C(c[:end]) {
		return looksHTTP1
	}
	const switching = "HTTP/1.1 101"
	n := min(len(s), len(switching))
	switch {
	case string(s[:n]) != switching[:n]:
		return looksHTTP1
	case n == len(switching):
		return looksUpgrade
	case last:
		return looksHTTP1
	}
	return undecided
}

// offersH2C reports whether the head of a request has h2c in Upgrade.
func offersH2C(head []byte) bool {
	for line := range bytes.Lines(head) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && strings.EqualFold(string(name), "upgrade") {
			for token := range strings.SplitSeq(string(value), ",") {
				if strings.EqualFold(strings.TrimSpace(token), "h2c") {
					return true
				}
			}
		}
	}
	return false
}

// guessMidway judges octets from the midst of a connection.
func (v view) guessMidway() guess {
	for d, b := range v.dirs {
		l := limits{d: Dir(d), maxFrame: frame.MaxMaxFrameSize}
		switch {
		case l.scan(b, true, v.last) >= 0:
			return looksFrames
		case tlsrecord.LooksLikeRecords(b) == tlsrecord.Yes:
			return looksTLS
		}
	}
	c, s := v.dirs[Client], v.dirs[Server]
	if statusLine(s) || bytes.Contains(s, []byte("\r\n\r\nHTTP/1.")) || bytes.Contains(c, []byte(" HTTP/1.1\r\n")) {
		return looksHTTP1
	}
	return undecided
}

// statusLine reports whether octets begin with a status line (RFC 9112 §4).
func statusLine(s []byte) bool {
	return len(s) >= 12 && string(s[:7]) == "HTTP/1." && s[8] == ' ' && s[9] >= '1' && s[9] <= '5'
}

// proxyHeader returns the length of the header of the PROXY protocol, version 1 or 2, that octets
// begin with: 0 for none, -1 where more octets are needed.
func proxyHeader(c []byte) int {
	const v1, v2 = "PROXY ", "\r\n\r\n\x00\r\nQUIT\n"
	if n := min(len(c), len(v2)); n > 0 && string(c[:n]) == v2[:n] {
		if len(c) < 16 {
			return -1
		}
		size := 16 + int(binary.BigEndian.Uint16(c[14:]))
		if size > len(c) {
			return -1
		}
		return size
	}
	n := min(len(c), len(v1))
	if n == 0 || string(c[:n]) != v1[:n] {
		return 0
	}
	const longest = 107
	if end := bytes.Index(c[:min(len(c), longest)], []byte("\r\n")); end >= 0 {
		return end + 2
	}
	if len(c) >= longest {
		return 0
	}
	return -1
}
