package conformance

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/server"
)

// resetRounds is how many requests an attack by resets makes.
const resetRounds = 10_000

// unlimitedResets takes away the budget for resets, so that what bounds the handlers is seen alone.
func unlimitedResets(s *server.Server) { s.Limits.ResetBurst, s.Limits.GlitchBurst = -1, -1 }

// A resetter makes a stream end whose request was taken, by whatever means.
type resetter struct {
	name string
	make func(p *rawPeer, id uint32)
}

// rapidReset (CVE-2023-44487): the client cancels the request at once.
var rapidReset = resetter{"RST_STREAM", func(p *rawPeer, id uint32) {
	p.add(frame.RSTStream{StreamID: id, Code: frame.Cancel})
}}

// madeYouReset (CVE-2025-8671): the client sends a frame that makes the server reset the stream.
var madeYouReset = []resetter{
	{"zero WINDOW_UPDATE", func(p *rawPeer, id uint32) { p.add(frame.WindowUpdate{StreamID: id}) }},
	{"WINDOW_UPDATE overflow", func(p *rawPeer, id uint32) {
		p.add(frame.WindowUpdate{StreamID: id, Increment: frame.MaxWindow})
	}},
	{"PRIORITY of wrong size", func(p *rawPeer, id uint32) {
		p.out = frame.Header{Type: frame.TypePriority, StreamID: id, Length: 4}.Append(p.out)
		p.out = append(p.out, 0, 0, 0, 0)
	}},
	{"PRIORITY on itself", func(p *rawPeer, id uint32) {
		p.add(frame.Priority{StreamID: id, PriorityParam: frame.PriorityParam{DependsOn: id}})
	}},
	{"HEADERS after END_STREAM", func(p *rawPeer, id uint32) { p.headers(id, true, h2test.Field("x", "y")) }},
	{"DATA after END_STREAM", func(p *rawPeer, id uint32) { p.add(frame.Data{StreamID: id, Data: []byte("x")}) }},
}

// Each request is reset at once, so that its stream does not count while its handler might still
// run. A peer that goes on with it is sent away.
func TestHostileResets(t *testing.T) {
	for _, r := range append(madeYouReset, rapidReset) {
		t.Run(r.name, func(t *testing.T) {
			ls, g := startGate(t)
			p := dialRaw(t, ls).greet()
			done := p.flood(resetRounds, func(i int) {
				id := uint32(2*i + 1)
				p.get(id, "/block")
				r.make(p, id)
			})
			codes := []frame.Code{frame.EnhanceYourCalm}
			if r.name != rapidReset.name { // RFC 9113 permits a connection error for each of them
				codes = append(codes, frame.ProtocolError, frame.FrameSizeError, frame.FlowControlError, frame.StreamClosed)
			}
			p.wantEnd(codes...)
			p.nc.Close()
			<-done
			g.wantAtMost(t, defaultMaxStreams)
			wantAlive(t, ls)
		})
	}
}

// Without the budget for resets, what bounds the work is that a handler keeps its place until it
// has returned. Here the attack is patient: it resets a stream when its handler runs.
func TestHostilePatientResets(t *testing.T) {
	const batch, rounds = 50, 20
	for _, r := range append(madeYouReset, rapidReset) {
		t.Run(r.name, func(t *testing.T) {
			ls, g := startGate(t, unlimitedResets)
			p := dialRaw(t, ls).greet()
			before := liveHeap()
			for round := range rounds {
				first := uint32(2*round*batch + 1)
				for i := range uint32(batch) {
					p.get(first+2*i, "/block")
				}
				if p.flush() != nil {
					break // the server has closed, which is as good
				}
				all := min(int64((round+1)*batch), defaultMaxStreams)
				eventually(t, "the handlers run", func() bool { return g.running.Load() >= all })
				for i := range uint32(batch) {
					r.make(p, first+2*i)
				}
				if p.flush() != nil {
					break
				}
				if e := p.readUntilQuiet(closedChan()); e.err != nil {
					break
				}
			}
			g.wantAtMost(t, defaultMaxStreams)
			wantHeap(t, before, 16<<20)
			p.nc.Close()
			wantAlive(t, ls)
		})
	}
}

// A flood of malformed requests (CVE-2019-9514): each costs the server a RST_STREAM of its own.
func TestHostileResetFlood(t *testing.T) {
	ls, g := startGate(t)
	p := dialRaw(t, ls).greet()
	done := p.flood(
		5000,
		func(i int) { p.headers(uint32(2*i+1), true, p.request("GET", "/block", h2test.Field("Upper", "x"))...) },
	)
	p.wantEnd(frame.EnhanceYourCalm)
	p.nc.Close()
	<-done
	if n := g.started.Load(); n != 0 {
		t.Errorf("%d malformed requests reached the handler", n)
	}
	wantAlive(t, ls)
}

// Requests beyond the limit of streams are refused, so that the client may repeat them; a peer that
// never stops is sent away.
func TestHostileStreamsBeyondLimit(t *testing.T) {
	ls, g := startGate(t)
	p := dialRaw(t, ls).greet()
	for i := range defaultMaxStreams + 10 {
		p.get(uint32(2*i+1), "/block")
	}
	p.mustFlush()
	refused := 0
	p.until("10 refusals", func(f frame.Frame) bool {
		if r, ok := f.(frame.RSTStream); ok && r.Code == frame.RefusedStream {
			refused++
		}
		return refused == 10
	})
	p.sync()
	eventually(t, "all allowed handlers run", func() bool { return g.running.Load() == defaultMaxStreams })
	done := p.flood(resetRounds, func(i int) { p.get(uint32(2*(i+defaultMaxStreams+10)+1), "/block") })
	p.wantEnd(frame.EnhanceYourCalm)
	p.nc.Close()
	<-done
	g.wantAtMost(t, defaultMaxStreams)
	wantAlive(t, ls)
}
