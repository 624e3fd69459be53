package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// A finder finds out what a connection speaks. It holds the octets until that is known.
type finder struct {
	waiting
	s      *session
	inTLS  bool
	alpn   string    // the protocol that the handshake of TLS has chosen
	ended  [2]bool   // by Dir
	tryAt  [2]int    // octets of a direction with which to guess again
	sided  bool      // the two sides are told apart
	proxy  bool      // the header of the PROXY protocol was looked for
	settle bool      // no more octets are waited for
	next   wire.Sink // set by start
}

func newFinder(s *session) *finder {
	f := &finder{s: s}
	f.budget = &s.a.held
	return f
}

// Octets implements wire.Sink.
func (f *finder) Octets(d wire.Dir, t time.Time, p []byte) {
	if !f.add(d, t, p) {
		f.settle = true
		f.decide()
		f.next.Octets(d, t, p)
		return
	}
	n := len(f.buf[d])
	f.settle = f.settle || n >= maxView || len(f.pieces) >= 2*maxPieces
	if n >= f.tryAt[d] || f.settle {
		f.tryAt[d] = n + n/16
		f.decide()
	}
}

// Lost implements wire.Sink.
func (f *finder) Lost(d wire.Dir, t time.Time, n int64, why string) { f.waiting.Lost(d, t, n, why) }

// End implements wire.Sink.
func (f *finder) End(d wire.Dir, t time.Time, how wire.How) {
	f.waiting.End(d, t, how)
	f.ended[d] = true
	f.settle = f.settle || f.ended[d.Other()]
	f.decide()
}

// decide goes on with the next stage, once it is known.
func (f *finder) decide() {
	s := f.s
	if f.inTLS {
		empty := len(f.buf[Client])+len(f.buf[Server]) == 0
		switch {
		case empty && !f.settle:
			return
		case empty && s.plain.why != "":
			s.plain.encrypted()
			f.unknown("")
			return
		case f.alpn != "":
			f.decideALPN()
			return
		}
	}
	if !f.proxy && !f.skipProxyHeader() {
		return
	}
	if s.info.StartMissing && !f.inTLS && !f.sided && s.depth == 0 && f.findSides() {
		return
	}
	v := f.view()
	g := v.guess()
	if g == looksPreface || g == looksTLS && tlsrecord.LooksLikeClientHello(v.dirs[Client]) == tlsrecord.Yes {
		s.info.StartMissing = false
	}
	if g == undecided && !v.last || !f.inTLS && g != looksTLS && s.twinWaits(v) {
		return
	}
	if !f.inTLS && g != looksTLS {
		s.findTwin(v)
	}
	f.startGuessed(g)
}

// startGuessed goes on with what the first octets look like.
func (f *finder) startGuessed(g guess) {
	s := f.s
	switch g {
	case looksTLS:
		if f.inTLS || s.a.keys == nil {
			f.unknown("TLS within TLS")
			return
		}
		f.start(newTLS(s))
	case looksPreface:
		s.found(HTTP2, "preface")
		f.start(newHTTP2(s))
	case looksFrames:
		s.found(HTTP2, "frames")
		f.start(newHTTP2(s))
	case looksUpgrade:
		s.found(HTTP2, "upgrade")
		f.start(newUpgrade(s))
	case looksHTTP1:
		s.found(HTTP1, "text")
		f.start(newText(s))
	default:
		f.unknown("")
	}
}

// decideALPN goes on with what TLS says that the connection speaks (RFC 7301).
func (f *finder) decideALPN() {
	switch s := f.s; f.alpn {
	case "h2":
		s.found(HTTP2, "alpn")
		f.start(newHTTP2(s))
	case "http/1.1", "http/1.0":
		s.found(HTTP1, "alpn")
		f.start(newText(s))
	default:
		f.unknown("it speaks " + f.alpn + ", as its ALPN says")
	}
}

// unknown goes on with nothing that is shown.
func (f *finder) unknown(problem string) {
	if f.s.info.Problem == "" {
		f.s.info.Problem = problem
	}
	f.s.found(Unknown, "")
	f.start(ignored{})
}

// skipProxyHeader takes the header of the PROXY protocol off what the client has sent, and reports
// whether it is known whether there is one.
func (f *finder) skipProxyHeader() bool {
	c, _ := f.waiting.view(wire.Client)
	switch n := proxyHeader(c); {
	case n > 0:
		f.skip[Client] = n
	case n < 0 && !f.settle:
		return false
	}
	f.proxy = len(c) > 0
	return true
}

// view returns what was seen.
func (f *finder) view() view {
	v := view{last: f.settle}
	for d := range v.dirs {
		b, lost := f.waiting.view(wire.Dir(d))
		v.dirs[d], v.midway[d] = b, f.s.info.StartMissing || lost
	}
	return v
}

// start hands what has waited to the next stage.
func (f *finder) start(next wire.Sink) {
	f.next = next
	f.s.setStage(f.inTLS, next)
	f.replay(next)
}

// ignored takes the octets of what is not shown.
type ignored struct{}

// Octets implements wire.Sink.
func (ignored) Octets(wire.Dir, time.Time, []byte) {}

// Lost implements wire.Sink.
func (ignored) Lost(wire.Dir, time.Time, int64, string) {}

// End implements wire.Sink.
func (ignored) End(wire.Dir, time.Time, wire.How) {}
