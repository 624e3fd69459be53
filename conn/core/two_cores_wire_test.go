package core

import (
	"slices"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// shake puts frames on the wire, some in another form that means the same: in pieces, padded, with
// priority, and with frames between them that mean nothing.
func (n *endpoint) shake(b []byte) {
	w := n.w
	n.noteLargest()
	defer func() { n.largest = n.c.peer.MaxFrameSize }()
	switch {
	case len(b) == 0:
		return
	case !n.begun:
		n.begun = true
		n.wire = append(n.wire, b...)
		return
	}
	for len(b) > 0 {
		h, p, k, err := frame.Split(b, frame.MaxMaxFrameSize)
		if err != nil || k == 0 {
			w.failf("%v has sent endpointStream a frame: %v", n.c.cfg.Role, err)
		}
		if h.Length > n.largest {
			w.failf("%v has sent a frame that is too large: %v", n.c.cfg.Role, h)
		}
		whole := b[:k]
		b = b[k:]
		switch {
		case h.Flags.Has(frame.FlagPadded) && (h.Type == frame.TypeData || h.Type == frame.TypeHeaders):
			n.wire = append(n.wire, whole...)
		case h.Type == frame.TypeData && w.chance(3):
			n.shakeData(h, p)
		case h.Type == frame.TypeHeaders && h.Flags.Has(frame.FlagEndHeaders) && !h.Flags.Has(frame.FlagPriority) &&
			w.chance(3):
			n.shakeHeaders(h, p)
		default:
			n.wire = append(n.wire, whole...)
		}
	}
	if !w.quiescent && w.chance(4) {
		n.noise()
	}
}

// noteLargest notes how large the frames may be that are in the output: the peer may allow less
// since they were put there.
func (n *endpoint) noteLargest() { n.largest = max(n.largest, n.c.peer.MaxFrameSize) }

// shakeData pads DATA, for which the sender must have credit, or cuts it in two.
func (n *endpoint) shakeData(h frame.Header, p []byte) {
	f := frame.Data{StreamID: h.StreamID, EndStream: h.Flags.Has(frame.FlagEndStream), Data: p}
	pad := n.w.rng.IntN(256)
	// Otherwise the credit may have come after the DATA.
	agreed := n.other.c.settings.acked && len(n.other.changes) == 0 && !n.other.c.settings.windowUnacked
	if s, ok := n.c.streams.Get(h.StreamID); ok && agreed && int(s.send.Available()) > pad &&
		int(n.c.sendWindow.Available()) > pad && int(h.Length)+pad < int(n.c.peer.MaxFrameSize) {
		s.send.Take(1 + pad)
		n.c.sendWindow.Take(1 + pad)
		f.Padded, f.PadLength = true, uint8(pad)
		n.wire = f.Append(n.wire)
		return
	}
	if len(p) > 1 {
		cut := 1 + n.w.rng.IntN(len(p)-1)
		n.wire = frame.Data{StreamID: f.StreamID, Data: p[:cut]}.Append(n.wire)
		f.Data = p[cut:]
	}
	n.wire = f.Append(n.wire)
}

// shakeHeaders pads HEADERS, adds a priority, or goes on in CONTINUATION frames.
func (n *endpoint) shakeHeaders(h frame.Header, p []byte) {
	w := n.w
	f := frame.Headers{
		StreamID: h.StreamID, EndStream: h.Flags.Has(frame.FlagEndStream), Padded: w.chance(2),
		HasPriority: w.chance(2),
	}
	if f.Padded {
		f.PadLength = uint8(w.rng.IntN(256))
	}
	f.Priority = frame.PriorityParam{DependsOn: h.StreamID + w.pick(1, 2, 3), Weight: 7}
	cut := w.rng.IntN(len(p) + 1)
	f.Fragment = p[:cut]
	rest := p[cut:]
	f.EndHeaders = len(rest) == 0
	n.wire = f.Append(n.wire)
	for len(rest) > 0 {
		k := min(len(rest), max(len(p)/4, 1))
		n.wire = frame.Continuation{StreamID: h.StreamID, EndHeaders: k == len(rest), Fragment: rest[:k]}.Append(n.wire)
		rest = rest[k:]
	}
}

// noise is a frame that changes nothing.
func (n *endpoint) noise() {
	w := n.w
	id := uint32(1 + w.rng.IntN(50))
	switch w.rng.IntN(6) {
	case 0:
		n.wire = h2test.Ping("whatever").Append(n.wire)
	case 1:
		n.wire = h2test.Frame(0xbb, 0xff, id, 1, 2, 3).Append(n.wire)
	case 2:
		n.wire = frame.Priority{StreamID: id}.Append(n.wire)
	case 3:
		if n.c.cfg.Role == Client {
			// Not for a stream that may be above the limit (RFC 9218 §7.1).
			id = min(id|1, max(n.c.streams.ids.LastLocal(), 1))
			n.wire = frame.PriorityUpdate{PrioritizedID: id, Value: []byte("u=1")}.Append(n.wire)
		} else {
			n.wire = frame.AltSvc{StreamID: id, Value: []byte("clear")}.Append(n.wire)
		}
	case 4: // frames with content that end nothing
		for _, o := range n.open {
			if h := n.endpointStreams[o]; h.headSent && !h.ended && h.s.state.CanSend() {
				n.wire = h2test.Data(o, "").Append(n.wire)
				return
			}
		}
	case 5:
		n.c.out = append([]byte(nil), n.c.out...)
		n.sendSettings(nil)
	}
}

// transit is what of flow control is on the way from n to the other end.
type transit struct {
	data    map[uint32]int64 // octets of DATA; 0 is the sum
	updates map[uint32]int64 // increments
}

func (n *endpoint) transit() transit {
	t := transit{make(map[uint32]int64), make(map[uint32]int64)}
	skip := len(n.other.c.dec.prefaceLeft)
	b := slices.Concat(n.other.in, n.wire, n.c.out)
	for b = b[skip:]; len(b) > 0; {
		h, p, k, err := frame.Split(b, frame.MaxMaxFrameSize)
		if err != nil || k == 0 {
			n.w.failf("%d octets on the wire are no frame: %v", len(b), err)
		}
		b = b[k:]
		switch h.Type {
		case frame.TypeData:
			t.data[0] += int64(h.Length)
			t.data[h.StreamID] += int64(h.Length)
		case frame.TypeWindowUpdate:
			f, err := frame.ParseWindowUpdate(h, p)
			n.must(err)
			t.updates[f.StreamID] += int64(f.Increment)
		default:
		}
	}
	return t
}

// check holds both ends' windows against each other, with what is on the way between them.
func (w *twoCores) check() {
	for _, a := range w.ends {
		b := a.other
		wantAccounts(w.tb, a.c)
		if w.tb.Failed() {
			w.failf("%v: accounts", a.c.cfg.Role)
		}
		there, back := a.transit(), b.transit()
		have := int64(a.c.sendWindow.Available()) + there.data[0] + back.updates[0]
		if want := int64(b.c.recv.window.Available()); have != want {
			w.failf("connection window from %v: %d to send + %d of DATA + %d of updates on the way, "+
				"but the receiver believes %d",
				a.c.cfg.Role, a.c.sendWindow.Available(), there.data[0], back.updates[0], want)
		}
		if !b.c.settings.acked || len(b.changes) > 0 || b.c.settings.windowUnacked {
			continue // the two know different initial sizes
		}
		for id, s := range a.c.streams.All() {
			r, ok := b.c.streams.Get(id)
			if !ok || !s.state.CanSend() || !r.state.CanReceive() {
				continue
			}
			have := int64(s.send.Available()) + there.data[id] + back.updates[id]
			if want := int64(r.recv.window.Available()); have != want {
				w.failf("window of stream %d from %v: %d to send + %d of DATA + %d of updates on the way, "+
					"but the receiver believes %d",
					id, a.c.cfg.Role, s.send.Available(), there.data[id], back.updates[id], want)
			}
		}
	}
}

// settle lets everything come to its end.
func (w *twoCores) settle() {
	for _, n := range w.ends {
		n.sendSettings([]frame.Setting{setting(frame.SettingInitialWindowSize, 40_000)})
	}
	w.quiescent = true
	quiet := 0
	for round := 0; quiet < 3; round++ {
		if round > 100_000 {
			w.failf("there is no end: client %d streams, server %d", w.ends[Client].c.NumStreams(),
				w.ends[Server].c.NumStreams())
		}
		quiet++
		for _, n := range w.ends {
			for _, id := range append([]uint32(nil), n.open...) {
				h := n.endpointStreams[id]
				for h.s != nil && h.queued == nil && !h.ended {
					n.finish(h)
					quiet = 0
				}
			}
			for s, h := range n.unread() {
				n.consume(s, h, h.unread)
				quiet = 0
			}
			n.c.Fill(1 << 20)
			for n.c.Awaits() {
				n.c.StopAwaiting(0, 1)
				n.c.Fill(1 << 20)
			}
			n.events()
			n.shake(n.c.Output(nil))
			if len(n.other.wire) > 0 {
				n.deliver(len(n.other.wire))
				quiet = 0
			}
		}
	}
}

// finish sends what is left of a message.
func (n *endpoint) finish(h *endpointStream) {
	if n.c.cfg.Role == Server && !h.headSent {
		n.sendHead(h)
	} else {
		n.sendBody(h, 1<<30)
	}
	n.events()
}

// checkEnd checks that everything has arrived and nothing is left.
func (w *twoCores) checkEnd() {
	w.check()
	for _, n := range w.ends {
		c := n.c
		if c.NumStreams() != 0 || c.streams.local != 0 || c.streams.remote != 0 || c.streams.reserved != 0 ||
			len(n.open) != 0 || len(n.owners) != 0 {
			w.failf(
				"%v: streams are left: %d, %d local, %d remote",
				c.cfg.Role,
				c.NumStreams(),
				c.streams.local,
				c.streams.remote,
			)
		}
		larger := c.recv.growth + c.recv.initial.restored
		if c.recv.unread != 0 || c.recv.withheld != 0 || c.recv.window.Held() != 0 || c.limit.smallData != 0 ||
			larger != 0 {
			w.failf("%v: %d octets unread, %d owed, %d held, %d small frames, %d octets of larger windows",
				c.cfg.Role, c.recv.unread, c.recv.withheld, c.recv.window.Held(), c.limit.smallData, larger)
		}
		if c.sched.Next() != nil || len(n.in)+len(n.wire) != 0 || len(n.changes) != 0 || n.c.settings.windowUnacked {
			w.failf("%v: something still waits", c.cfg.Role)
		}
		if (n.ended || n.other.ended && c.cfg.Role == Client) && !c.Drained() {
			w.failf("%v is not drained", c.cfg.Role)
		}
	}
	for _, id := range w.order {
		w.checkExchange(w.exchanges[id])
	}
}

// checkExchange checks that both messages have arrived, where nothing was in the way.
func (w *twoCores) checkExchange(p *exchange) {
	client, server := w.ends[Client].endpointStreams[p.id], w.ends[Server].endpointStreams[p.id]
	switch {
	case p.killed:
	case p.parent != nil && server.reset != nil: // refused
	case p.parent != nil && client == nil:
		if q := p.parent; !q.killed && !q.stopped[Client] && !w.ends[Client].ended { // else it was refused, too late
			w.failf("push %d has not reached the client", p.id)
		}
	case p.refused:
		if server != nil {
			w.failf("stream %d was refused after it was begun", p.id)
		}
	case server == nil:
		if !p.stopped[Client] { // then it may have been refused as well
			w.failf("stream %d was not seen by the server", p.id)
		}
	case !client.gotEnd && !p.stopped[Client], !server.gotEnd && !p.stopped[Server]:
		w.failf("stream %d has not ended: %+v, %+v", p.id, client, server)
	case client.gotInterims != len(p.interim) && client.gotHead:
		w.failf("stream %d: %d interim responses have arrived", p.id, client.gotInterims)
	}
}
