package capture

import (
	"slices"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// apply takes a frame into account, behind the rules.
func (l *lint) apply(f *Frame) {
	side := &l.sides[f.Dir]
	side.block.apply(f)
	l.move(f)
	switch f.Header.Type {
	case frame.TypeData:
		if st := l.get(f.Header.StreamID); st != nil {
			st.content[f.Dir] += int64(f.DataLen)
		}
	case frame.TypeHeaders, frame.TypeContinuation:
		l.applyMessage(f)
		side.hpack.add(&l.message)
	case frame.TypePushPromise:
		l.promise(f)
	case frame.TypeSettings:
		l.settings(f)
	case frame.TypePing:
		l.ping(f)
	case frame.TypeGoAway:
		if p, ok := f.Parsed.(frame.GoAway); ok {
			g := &side.goAway
			if !g.sent {
				g.at = f.Time
			}
			g.sent, g.last = true, p.LastStreamID
		}
	default:
	}
	if l.message.kind == promisedHead {
		if st := l.get(side.block.promised); st != nil {
			st.head = l.message.Method == "HEAD"
		}
	}
	side.rates.add(l, f)
}

// promise reserves a stream (RFC 9113 §8.4).
func (l *lint) promise(f *Frame) {
	side := &l.sides[f.Dir]
	p, ok := f.Parsed.(frame.PushPromise)
	if !ok || f.Dir != Server || p.PromisedID%2 != 0 || p.PromisedID <= side.highest {
		return
	}
	side.highest = p.PromisedID
	st := l.open(p.PromisedID, f.Time)
	st.promised = true
	st.heads[Client] = 1
	st.step(Server, stream.SendPushPromise, stream.RecvPushPromise)
}

// settings notes SETTINGS and their acknowledgement.
func (l *lint) settings(f *Frame) {
	if f.Header.Flags.Has(frame.FlagAck) {
		l.sides[f.Dir.Other()].settings.ack()
		return
	}
	l.sides[f.Dir].settings.apply(f)
}

// ping notes PING, and that it was answered.
func (l *lint) ping(f *Frame) {
	p, ok := f.Parsed.(frame.Ping)
	switch side, other := &l.sides[f.Dir], &l.sides[f.Dir.Other()]; {
	case !ok:
	case !p.Ack:
		if len(side.pings) == maxLintPings {
			side.pings = slices.Delete(side.pings, 0, 1)
		}
		side.pings = append(side.pings, lintPing{p.Data, f.Time})
	default:
		if i := other.waits(p.Data); i >= 0 {
			other.pings = slices.Delete(other.pings, i, i+1)
		}
	}
}

// waits returns the index of the PING with that data which was not answered, or -1.
func (s *lintSide) waits(data [8]byte) int {
	return slices.IndexFunc(s.pings, func(p lintPing) bool { return p.data == data })
}

// settleLoss is ledger.settleLoss.
func (l *lint) settleLoss(f *Frame) {
	side := &l.sides[f.Dir]
	if lost := side.lost - int64(f.Missing); side.lost > 0 && lost > 0 {
		l.lostFrames(f.Dir)
	}
	side.lost = 0
}

// lost says that octets of side d are missing.
func (l *lint) lost(d Dir, _ time.Time, n int64) {
	if n < 0 {
		l.lostFrames(d)
		return
	}
	l.sides[d].lost += n
}

// lostFrames has nothing be judged that frames of side d, of any number, may have changed.
func (l *lint) lostFrames(d Dir) {
	side := &l.sides[d]
	side.lossy = true
	l.dropHeld(d)
	side.block = lintBlock{}
	side.settings.lost()
	l.sides[d.Other()].settings.lost()
	side.pings, l.sides[d.Other()].pings = nil, nil
	for _, st := range l.streams.All() {
		st.unsure = true
	}
}
