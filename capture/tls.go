package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// newTLS returns the stage that decrypts a connection, behind which its protocol is found again.
func newTLS(s *session) wire.Sink {
	p := &plaintext{s: s, finder: newFinder(s)}
	p.finder.inTLS = true
	p.to = p.finder
	s.plain, s.octets = p, [2]int64{}
	o := tlsrecord.Options{HoldBack: s.a.holdBack, StartMissing: s.info.StartMissing}
	return tlsrecord.New(s.a.keys, p, o)
}

// maxUndecrypted is how many octets that cannot be decrypted show that the rest cannot, either.
const maxUndecrypted = 1 << 20

// plaintext takes what a connection carries within TLS.
type plaintext struct {
	s      *session
	finder *finder
	to     wire.Sink // the finder, or what it has found
	why    string    // why octets could not be decrypted, the first reason
	early  []Gap     // undecrypted octets, before the Connection could be delivered
	octets int64     // of early
	begun  time.Time // when the handshake has; zero is unknown
}

// Handshake implements tlsrecord.Sink.
func (p *plaintext) Handshake(i tlsrecord.Info) {
	p.s.info.TLS = &TLS{
		Version: i.Version, CipherSuite: i.CipherSuite, ALPN: i.ALPN, Offered: i.Offered,
		ServerName: i.ServerName, ClientRandom: i.ClientRandom,
		Resumed: i.Resumed, HelloRetry: i.HelloRetry, EarlyData: i.EarlyData, Start: p.begun,
	}
	p.finder.alpn = i.ALPN
}

// Begun implements tlsrecord.Times.
func (p *plaintext) Begun(t time.Time) { p.begun = t }

// Finished implements tlsrecord.Times.
func (p *plaintext) Finished(_ wire.Dir, t time.Time) {
	if i := p.s.info.TLS; !p.s.known && t.After(i.Finished) { // later ones are those of a renegotiation
		i.Finished = t
	}
}

// Octets implements wire.Sink.
func (p *plaintext) Octets(d wire.Dir, t time.Time, b []byte) {
	p.s.octets[d] += int64(len(b))
	p.to.Octets(d, t, b)
}

// Lost implements wire.Sink.
func (p *plaintext) Lost(d wire.Dir, t time.Time, n int64, why string) { p.to.Lost(d, t, n, why) }

// Undecrypted implements tlsrecord.Sink.
func (p *plaintext) Undecrypted(why string, d wire.Dir, t time.Time, n int64) {
	s := p.s
	g := Gap{
		Conn: s.info.ID, Time: t, Dir: Dir(d), Octets: n, Reason: "undecrypted",
		Text: octetCount(n) + " of the " + d.String() + ", as they are encrypted, cannot be read: " + why,
	}
	switch {
	case why == tlsrecord.Rejected: // the client sends it again
		p.repeated(&g)
		return
	case s.known:
		p.to.Lost(d, t, -1, whyUndecrypted)
		s.send(&g)
		return
	}
	if p.why == "" {
		p.why = why
	}
	p.octets += n
	p.add(g)
	p.finder.Lost(d, t, -1, whyUndecrypted)
	if p.octets > maxUndecrypted {
		p.finder.settle = true
		p.finder.decide()
	}
}

// repeated takes a Gap that has cost no octet of the plaintext.
func (p *plaintext) repeated(g *Gap) {
	if p.s.known {
		p.s.send(g)
	} else {
		p.early = append(p.early, *g)
	}
}

// add keeps a Gap until the Connection is delivered; those of a direction are one.
func (p *plaintext) add(g Gap) {
	for i := range p.early {
		if q := &p.early[i]; q.Dir == g.Dir {
			q.Octets += g.Octets
			q.Text = octetCount(q.Octets) + " of the " + q.Dir.String() + ", as they are encrypted, cannot be read: " + p.why
			return
		}
	}
	p.early = append(p.early, g)
}

// encrypted says, before the Connection is delivered, that nothing of it could be decrypted.
func (p *plaintext) encrypted() {
	if p.s.info.TLS == nil {
		p.s.info.TLS = new(TLS)
	}
	if p.s.info.Problem == "" {
		p.s.info.Problem = p.why
	}
	p.s.info.TLS.Encrypted = true
}

// deliver delivers what could not be decrypted before the Connection was known.
func (p *plaintext) deliver() {
	for i := range p.early {
		p.s.send(&p.early[i])
	}
	p.early = nil
}

// End implements wire.Sink.
func (p *plaintext) End(d wire.Dir, t time.Time, how wire.How) { p.to.End(d, t, how) }

// unreported are, by Dir, octets of TCP that are missing and that are in no Gap yet. Those of a
// handshake may be without consequence for what is in TLS.
type unreported [2]*Gap

// add counts octets, for the Gap that report may emit.
func (u *unreported) add(s *session, d Dir, t time.Time, n int64, why string) {
	g := u[d]
	switch {
	case g == nil:
		u[d] = &Gap{Conn: s.info.ID, Time: t, Dir: d, Octets: n, Reason: newGap(n, why).reason}
	case n < 0 || g.Octets < 0:
		g.Octets = -1
	default:
		g.Octets += n
	}
}

// report emits, at the end of a connection with TLS, Gaps for octets that nothing within it has
// missed.
func (u *unreported) report(s *session) {
	for _, g := range u {
		if g == nil || g.Octets < 0 {
			continue
		}
		g.Text = octetCount(g.Octets) + " of the " + g.Dir.String() +
			" are not in the capture; they were of TLS alone, such as its handshake"
		s.gap(g)
	}
}
