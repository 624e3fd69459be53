package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// firstEphemeral is the first port that Linux chooses for clients by default; other systems begin
// higher.
const firstEphemeral = 32768

// A role is what octets say of the side that has sent them.
type role uint8

const (
	eitherSide role = iota
	clientSide
	serverSide
)

// findSides has the two sides of a connection change places where its beginning is missing and
// what they send says that they were taken for each other. It reports whether more octets have to
// come to say that, because the ports do not.
func (f *finder) findSides() (wait bool) {
	s := f.s
	v := f.view()
	c, server := senderOf(v.dirs[Client], v.last), senderOf(v.dirs[Server], v.last)
	switch {
	case c == serverSide && server != serverSide, server == clientSide && c != clientSide:
		f.turn()
		s.turn()
	case c != eitherSide || server != eitherSide:
	default:
		low, high := s.info.Server.Port(), s.info.Client.Port()
		low, high = min(low, high), max(low, high)
		if wait = (low >= firstEphemeral) == (high >= firstEphemeral) && !v.last; wait {
			return true
		}
	}
	f.sided = true
	return false
}

// senderOf says what octets from the midst of a connection say of their sender.
func senderOf(b []byte, last bool) role {
	if statusLine(b) {
		return serverSide
	}
	l := limits{anyDir: true, maxFrame: frame.MaxMaxFrameSize}
	at := l.scan(b, true, last)
	if at < 0 {
		return eitherSide
	}
	for b = b[at:]; len(b) >= frame.HeaderLen; {
		h := frame.ParseHeader(b)
		payload := b[frame.HeaderLen:]
		payload = payload[:min(len(payload), int(h.Length))]
		if s := senderOfFrame(h, payload); s != eitherSide {
			return s
		}
		b = b[frame.HeaderLen+len(payload):]
	}
	return eitherSide
}

// senderOfFrame says what a frame says of its sender.
func senderOfFrame(h frame.Header, p []byte) role {
	switch h.Type {
	case frame.TypePushPromise, frame.TypeOrigin, frame.TypeAltSvc:
		return serverSide
	case frame.TypePriority, frame.TypePriorityUpdate:
		return clientSide
	case frame.TypeHeaders:
		off := 0
		if h.Flags.Has(frame.FlagPadded) {
			off++
		}
		if h.Flags.Has(frame.FlagPriority) {
			off += 5
		}
		return senderOfBlock(p[min(off, len(p)):])
	default:
		return eitherSide
	}
}

// senderOfBlock says what the first field of a header block says of its sender. Pseudo-header
// fields come first; in the static table, 1 to 7 are those of requests, and 8 to 14 are :status
// (RFC 7541 appendix A).
func senderOfBlock(p []byte) role {
	for len(p) > 0 && p[0]&0xe0 == 0x20 { // the size of the dynamic table
		n := 1
		if p[0] == 0x3f {
			for n < len(p) && p[n]&0x80 != 0 {
				n++
			}
			n++
		}
		p = p[min(n, len(p)):]
	}
	if len(p) == 0 {
		return eitherSide
	}
	index := p[0] & 0x0f // of a literal that is not indexed
	switch {
	case p[0]&0x80 != 0:
		index = p[0] & 0x7f
	case p[0]&0x40 != 0:
		index = p[0] & 0x3f
	}
	switch {
	case index >= 1 && index <= 7:
		return clientSide
	case index >= 8 && index <= 14:
		return serverSide
	default:
		return eitherSide
	}
}

// turn has the two sides change places.
func (f *finder) turn() {
	f.waiting.turn()
	f.ended[Client], f.ended[Server] = f.ended[Server], f.ended[Client]
	f.tryAt[Client], f.tryAt[Server] = f.tryAt[Server], f.tryAt[Client]
}

// turn has the two sides change places.
func (w *waiting) turn() {
	w.buf[Client], w.buf[Server] = w.buf[Server], w.buf[Client]
	w.losses[Client], w.losses[Server] = w.losses[Server], w.losses[Client]
	w.skip[Client], w.skip[Server] = w.skip[Server], w.skip[Client]
	w.over[Client], w.over[Server] = w.over[Server], w.over[Client]
	for i := range w.pieces {
		w.pieces[i].d = w.pieces[i].d.Other()
	}
}

// turn has the two sides change places, also in what is to come.
func (s *session) turn() {
	s.turned ^= 1
	s.info.Client, s.info.Server = s.info.Server, s.info.Client
	s.octets[Client], s.octets[Server] = s.octets[Server], s.octets[Client]
	s.closed[Client], s.closed[Server] = s.closed[Server], s.closed[Client]
	s.unreported[Client], s.unreported[Server] = s.unreported[Server], s.unreported[Client]
	for _, g := range s.unreported {
		if g != nil {
			g.Dir = g.Dir.Other()
		}
	}
}

// Retransmitted implements tcpstream.Retransmits.
func (s *session) Retransmitted(d wire.Dir, t time.Time, _ int, filled time.Duration) {
	s.retransmitted(Dir(d^s.turned), t, filled)
}
