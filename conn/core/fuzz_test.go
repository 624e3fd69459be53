package core

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// FuzzConn gives a connection frames of any kind, and any octets, while an owner of its streams
// reads, answers and resets at random. Nothing panics, no credit is lost, and what the peer can
// make us send and find is bounded by what it sends.
func FuzzConn(f *testing.F) {
	for _, role := range []Role{Server, Client} {
		p := newPeer(f, role)
		for _, items := range [][]any{
			{h2test.GetOpen(1), h2test.Data(1, "abc"), h2test.Trailers(1, "x: y")},
			{
				h2test.Get(1), h2test.RST(1, frame.Cancel), h2test.GetOpen(3).Cut(3).Pad(4), h2test.WindowUpdate(3, 100),
				h2test.WindowUpdate(0, 5),
			},
			{h2test.Response(1, 103), h2test.Response(1, 200), h2test.Data(1, "abc"), h2test.DataEnd(1, "")},
			{h2test.Promise(1, 2), h2test.Response(2, 200).End(), frame.GoAway{LastStreamID: 1}},
			{
				h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<31-1)), h2test.Ping("12345678"),
				h2test.Settings(setting(frame.SettingHeaderTableSize, 0)),
			},
			{
				h2test.Frame(frame.TypeData, 8, 1, 3, 'x', 0, 0, 0),
				frame.Priority{StreamID: 1},
				h2test.Frame(0xbb, 0xff, 7, 1, 2),
			},
			{frame.Ping{Ack: true, Data: drainPing}, frame.Ping{Ack: true, Data: keepalivePing}, frame.Settings{Ack: true}},
		} {
			b := p.codec.Append(nil, items...)
			f.Add(role == Client, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, b)
			f.Add(role == Client, []byte{}, b)
		}
	}
	f.Fuzz(func(t *testing.T, client bool, acts, wire []byte) {
		role := Server
		if client {
			role = Client
		}
		newFuzzer(t, role, acts).run(wire)
	})
}

// TestRandomFrames is what FuzzConn does, with frames that are more often right than not.
func TestRandomFrames(t *testing.T) {
	for seed := range uint64(1000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		role := Role(seed & 1)
		p := newPeer(t, role) // encodes
		var wire []byte
		for range 40 {
			wire = randomFrame(rng, p, wire)
		}
		acts := make([]byte, rng.IntN(200))
		for i := range acts {
			acts[i] = byte(rng.Uint32())
		}
		newFuzzer(t, role, acts).run(wire)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func randomFrame(rng *rand.Rand, p *peer, b []byte) []byte {
	id := uint32(rng.IntN(12))
	switch rng.IntN(16) {
	case 0, 1, 2:
		m := h2test.GetOpen(id|1, "x: y")
		if p.c.cfg.Role == Client {
			m = h2test.Response(id|1, 200)
		}
		m.EndStream = rng.IntN(2) == 0
		return p.codec.Append(b, m.Cut(1+rng.IntN(3)).Pad(uint8(rng.IntN(9))))
	case 3:
		return p.codec.Append(b, h2test.Trailers(id|1, "x: y"))
	case 4, 5, 6:
		return frame.Data{
			StreamID: id | 1, EndStream: rng.IntN(4) == 0, Padded: rng.IntN(2) == 0,
			Data: make([]byte, rng.IntN(600)),
		}.Append(b)
	case 7:
		return h2test.WindowUpdate(id, []uint32{0, 1 << 30, frame.MaxWindow}[rng.IntN(3)]).Append(b)
	case 8:
		return h2test.RST(id|1, frame.Code(rng.IntN(15))).Append(b)
	case 9:
		return h2test.Settings(setting(frame.SettingID(rng.IntN(10)), rng.Uint32()>>rng.IntN(32))).Append(b)
	case 10:
		return h2test.Ping("12345678").Append(b)
	case 11:
		return frame.Priority{StreamID: id | 1, PriorityParam: frame.PriorityParam{DependsOn: uint32(rng.IntN(12))}}.Append(b)
	case 12:
		return p.codec.Append(b, h2test.Promise(id|1, id&^1+2))
	case 13:
		return frame.GoAway{LastStreamID: uint32(rng.IntN(12))}.Append(b)
	case 14:
		return frame.Ping{Ack: true, Data: drainPing}.Append(b)
	default:
		payload := make([]byte, rng.IntN(12))
		for i := range payload {
			payload[i] = byte(rng.Uint32())
		}
		return h2test.Frame(frame.Type(rng.IntN(0x12)), frame.Flags(rng.Uint32()), id, payload...).Append(b)
	}
}

// A fuzzer owns the streams of a connection and lets acts decide what to do.
type fuzzer struct {
	tb     testing.TB
	c      Driver
	now    time.Time
	acts   []byte
	owed   map[*Stream]int
	live   []*Stream
	opened int
	events int
	octets int // that the connection has sent of its own
}

func newFuzzer(tb testing.TB, role Role, acts []byte) *fuzzer {
	p := newPeer(tb, role, func(cfg *Config) {
		cfg.EnablePush, cfg.EnableConnectProtocol = role == Client, true
		cfg.MaxUnread, cfg.StreamWindow, cfg.MaxHeaderBytes, cfg.MaxConcurrentStreams = 100, 1000, 4000, 10
		cfg.WindowGrowth = 5000
		cfg.IdleTimeout, cfg.StallTimeout, cfg.HeaderTimeout = time.Minute, time.Minute, time.Minute
		cfg.PingInterval, cfg.PingTimeout, cfg.DrainGrace = time.Minute, time.Minute, time.Minute
	})
	p.c.recv.bdp.PingSent(epoch)
	p.c.recv.bdp.PingAcked(epoch.Add(time.Millisecond))
	return &fuzzer{tb: tb, c: p.c, now: epoch, acts: acts, owed: make(map[*Stream]int)}
}

func (z *fuzzer) next() (act byte) {
	if len(z.acts) > 0 {
		act, z.acts = z.acts[0], z.acts[1:]
	}
	return act
}

func (z *fuzzer) run(wire []byte) {
	var err error
	for rest := wire; err == nil; {
		piece := rest
		if n := 1 + int(z.next()); len(z.acts) > 0 && n < len(rest) {
			piece = rest[:n]
		}
		var n int
		more := true
		for at := 0; more && err == nil; at += n {
			n, more, err = z.c.Receive(piece[at:], z.now)
			z.take()
			if !more && err == nil {
				z.c.SetPartial(piece[at+n:], z.now)
				rest = rest[at+n:]
			}
		}
		if err == nil {
			err = z.act(z.next())
		}
		if len(z.acts) == 0 && n == 0 {
			break
		}
	}
	z.end(err, len(wire))
}

// act does something as the owner of streams.
func (z *fuzzer) act(b byte) (err error) {
	if z.c.cfg.Role == Client && b&1 == 1 && z.c.CanOpen() == nil {
		z.mine(func() {
			s, err := z.c.Open(Request{Fields: requestFields(), Head: b&2 != 0, End: b&4 != 0})
			z.must(err)
			z.live = append(z.live, s)
			z.opened++
		})
		return nil
	}
	if len(z.live) > 0 {
		z.stream(z.live[int(b>>3)%len(z.live)], b)
	}
	if b == 0xff {
		z.now = z.now.Add(20 * time.Second)
		z.mine(func() { err = z.c.Tick(z.now) })
	}
	return err
}

func (z *fuzzer) stream(s *Stream, b byte) {
	z.mine(func() {
		switch b & 7 {
		case 0:
			if z.c.cfg.Role == Server {
				z.allowed(z.c.SendHead(s, ResponseHead{Fields: responseFields(), Interim: b&0x80 != 0}))
			}
		case 1:
			z.c.Finish(s, make([]byte, int(b)), 10_000)
		case 2:
			z.allowed(z.c.Queue(s, Content{Data: make([]byte, int(b)), End: b&0x80 != 0}))
		case 3:
			if z.c.Consume(s, z.owed[s]) {
				z.c.Tune(s, z.now)
			}
			z.owed[s] = 0
		case 4:
			z.c.Reset(s, frame.Cancel)
		case 5:
			z.c.StopRecv(s)
		case 6:
			z.c.Unqueue(s)
		case 7:
			if b == 0xf7 {
				z.c.Shutdown(z.now)
			}
		}
		z.c.Fill(10_000)
	})
}

// mine does what the peer is not to blame for, so its output and events do not count.
func (z *fuzzer) mine(f func()) {
	f()
	events, octets := z.events, z.octets
	z.take()
	z.events, z.octets = events, octets
}

func (z *fuzzer) must(err error) {
	if err != nil {
		z.tb.Fatal(err)
	}
}

func (z *fuzzer) allowed(err error) {
	if err != nil && !errors.Is(err, ErrClosed) && !errors.Is(err, ErrOrder) && !errors.Is(err, ErrBusy) {
		z.tb.Fatal(err)
	}
}

// take takes events and output.
func (z *fuzzer) take() {
	for {
		e, ok := z.c.NextEvent()
		if !ok {
			break
		}
		z.events++
		switch e.Kind {
		case EventHeaders, EventPush:
			if z.c.cfg.Role == Server || e.Kind == EventPush {
				z.live = append(z.live, e.Stream)
				z.opened++
			}
		case EventData:
			z.owed[e.Stream] += len(e.Data)
		case EventClosed:
			for i, s := range z.live {
				if s == e.Stream {
					z.live = append(z.live[:i], z.live[i+1:]...)
					break
				}
			}
		default:
		}
	}
	z.octets += len(z.c.Output(nil))
}

func (z *fuzzer) end(err error, sent int) {
	z.tb.Helper()
	var ce *frame.ConnError
	if err != nil && !errors.As(err, &ce) {
		z.tb.Fatalf("the error is a %T: %v", err, err)
	}
	wantAccounts(z.tb, z.c)
	if z.c.NumStreams() != len(z.live) {
		z.tb.Errorf("%d streams in the table, events name %d", z.c.NumStreams(), len(z.live))
	}
	for s, n := range z.owed {
		z.c.Consume(s, n)
	}
	z.take()
	size, grown := z.c.RecvWindow()
	if size > int64(z.c.cfg.ConnWindow+z.c.cfg.WindowGrowth) || grown > int64(z.c.cfg.WindowGrowth) ||
		grown > 0 && len(z.live) == 0 {
		z.tb.Errorf("the connection's window is %d octets large, its %d streams have grown by %d", size, len(z.live), grown)
	}
	if z.c.State().Unread != 0 || z.c.recv.window.Held() != 0 {
		z.tb.Errorf("%d octets unread and %d held when all is consumed", z.c.State().Unread, z.c.recv.window.Held())
	}
	if ce != nil {
		z.c.Fail(ce)
		z.octets -= 300 // the GOAWAY
		z.take()
	}
	// 13 octets of RST_STREAM or WINDOW_UPDATE for a frame of 9 at the least, twice where both
	// windows are meant.
	if z.octets > 3*sent+100 {
		z.tb.Errorf("%d octets were sent for %d", z.octets, sent)
	}
	if z.events > sent/9*2+3*z.opened+10 {
		z.tb.Errorf("%d events for %d octets and %d streams", z.events, sent, z.opened)
	}
}
