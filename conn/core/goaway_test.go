package core

import (
	"errors"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

const (
	drainPingLine  = `PING "sluicego"`
	firstGoAway    = "GOAWAY 2147483647 NO_ERROR"
	refusedByDrain = "reset 3 remote REFUSED_STREAM"
)

// RFC 9113 §6.8: first GOAWAY with the highest identifier and a PING; when that is answered, all
// that the peer sent before it knew has arrived, and GOAWAY names the last stream that counts.
func TestShutdown(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1), h2test.GetOpen(3))
	p.c.Shutdown(p.now)
	p.c.Shutdown(p.now)
	p.take()
	p.outcome()
	p.send(h2test.Get(5))
	p.wantEvents("requests on the way still count", "headers 5 GET / end")
	p.send(frame.Ping{Ack: true, Data: drainPing})
	p.want("the last stream", "GOAWAY 5 NO_ERROR")

	p.send(
		h2test.GetOpen(9, "x-custom: value"),
		h2test.Data(9, "late"),
		h2test.Data(7, "skipped"),
		h2test.Trailers(9, "x: y"),
		h2test.RST(9, frame.Cancel),
		h2test.WindowUpdate(9, 5),
	)
	p.wantQuiet("streams beyond the last are ignored")
	wantAccounts(t, p.c)
	p.send(h2test.Data(3, "body"), h2test.Trailers(3, "x-custom: value"))
	p.wantEvents("the HPACK table has what the ignored stream put there", "data 3 4", "trailers 3 x-custom=value end")
	p.answer(1, true)
	p.answer(5, true)
	if p.c.Drained() {
		t.Error("drained although stream 3 is open")
	}
	p.answer(3, true)
	if !p.c.Drained() {
		t.Error("not drained")
	}
}

func TestShutdownFrames(t *testing.T) {
	p := newPeer(t, Server)
	p.c.Shutdown(p.now)
	p.take()
	p.want("first step", firstGoAway, drainPingLine)
	if p.c.Drained() || !p.c.State().Draining {
		t.Error("drained before the final GOAWAY")
	}
	p.send(frame.Ping{Ack: true, Data: drainPing})
	p.want("second step", "GOAWAY 0 NO_ERROR")
	if !p.c.Drained() {
		t.Error("not drained")
	}
	p.send(frame.Ping{Ack: true, Data: drainPing})
	p.want("there is no third")
}

// A peer that does not answer the PING has a second.
func TestShutdownWithoutAnswer(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.c.Shutdown(p.now)
	p.take()
	p.outcome()
	p.deadline("the second step", time.Second)
	p.send(h2test.Get(3))
	p.tick(time.Second)
	p.want("second step", "GOAWAY 3 NO_ERROR")
	p.deadline("no grace is set", 0)
	p.answer(1, true)
	p.answer(3, true)
	if !p.c.Drained() {
		t.Error("not drained")
	}
}

func TestDrainGrace(t *testing.T) {
	for _, grace := range []time.Duration{100 * time.Millisecond, time.Minute} {
		p := newPeer(t, Server, func(cfg *Config) { cfg.DrainGrace = grace })
		p.send(h2test.Get(1))
		p.c.Shutdown(p.now)
		p.tick(min(time.Second, grace-1))
		p.alive("grace")
		p.outcome()
		p.tick(grace - min(time.Second, grace-1) - 1)
		p.alive("grace")
		p.tick(1)
		p.wantDead("the grace is over", frame.NoError, "grace")
	}
}

// An error after the final GOAWAY does not name a higher stream (RFC 9113 §6.8).
func TestErrorWhileDraining(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.c.Shutdown(p.now)
	p.send(frame.Ping{Ack: true, Data: drainPing}, h2test.Get(3))
	p.outcome()
	p.send(h2test.WindowUpdate(0, 0))
	p.wantDead("zero increment", frame.ProtocolError, "increment 0")
	if got, want := p.out[len(p.out)-1], "GOAWAY 1 PROTOCOL_ERROR"; got[:len(want)] != want {
		t.Errorf("the last frame is %q, want %q", got, want)
	}
}

// A frame on a stream that the peer has not opened is an error also while draining.
func TestIdleWhileDraining(t *testing.T) {
	p := newPeer(t, Server)
	p.c.Shutdown(p.now)
	p.send(frame.Ping{Ack: true, Data: drainPing})
	p.send(h2test.Data(1, "x"))
	p.wantDead("DATA on an idle stream", frame.ProtocolError, "RFC 9113 §5.1")
}

// A server that goes away ends the streams above the last that it has processed: they can be tried
// again elsewhere.
func TestGoAwayReceived(t *testing.T) {
	p := newPeer(t, Client)
	p.open(true)
	p.open(false)
	p.outcome()
	p.send(frame.GoAway{LastStreamID: frame.MaxStreamID})
	if p.events = p.events[1:]; len(p.events) != 0 {
		t.Errorf("the announcement has ended streams: %q", p.events)
	}
	if err := p.c.CanOpen(); !errors.Is(err, ErrNoMoreStreams) {
		t.Errorf("a stream can be opened after GOAWAY: %v", err)
	}
	if _, err := p.c.Open(Request{Fields: requestFields(), End: true}); !errors.Is(err, ErrNoMoreStreams) {
		t.Errorf("a stream was opened after GOAWAY: %v", err)
	}
	p.send(frame.GoAway{LastStreamID: 1})
	p.events = p.events[1:]
	p.wantEvents("stream 3 was not processed", refusedByDrain, "closed 3")
	p.want("no RST_STREAM is sent for what the peer does not know")
	if err := p.c.Queue(p.stream(3), Content{Data: []byte("x"), End: true}); !errors.Is(err, ErrClosed) {
		t.Errorf("Queue on a refused stream: %v", err)
	}
	p.send(h2test.Response(1, 200).End())
	p.wantEvents("stream 1 goes on", "headers 1 200 end", "closed 1")
	if !p.c.Drained() {
		t.Error("not drained")
	}
	// A peer that answers a stream all the same breaks its own word.
	p.send(h2test.Response(3, 200).End())
	p.want("as after its RST_STREAM", "RST_STREAM 3 STREAM_CLOSED")
}

// A client that goes away may still make requests.
func TestGoAwayFromClient(t *testing.T) {
	p := newPeer(t, Server)
	p.send(frame.GoAway{}, h2test.Get(1))
	p.events = p.events[1:]
	p.wantEvents("a request", "headers 1 GET / end")
	p.answer(1, true)
	if p.c.Drained() {
		t.Error("drained")
	}
}

// The last stream of the final GOAWAY is judged like any that came before.
func TestLastStreamOfDrain(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.c.Shutdown(p.now)
	p.send(frame.Ping{Ack: true, Data: drainPing})
	p.answer(1, true)
	p.send(h2test.Data(1, "x"))
	p.wantDead("DATA after END_STREAM", frame.StreamClosed, "RFC 9113 §5.1")
}

// A promise beyond the final GOAWAY is ignored, and what comes on the promised stream.
func TestPushWhileDraining(t *testing.T) {
	p := newPeer(t, Client, func(cfg *Config) { cfg.EnablePush = true })
	p.open(true)
	p.c.Shutdown(p.now)
	p.send(frame.Ping{Ack: true, Data: drainPing})
	p.outcome()
	p.send(
		h2test.Promise(1, 2, "x-custom: value"),
		h2test.Response(2, 200),
		h2test.Data(2, "x"),
		h2test.RST(2, frame.Cancel),
	)
	p.wantQuiet("stream 2 is beyond the last")
	p.wantLedger("dropped")
	p.send(h2test.Response(1, 200, "x-custom: value").End())
	p.wantEvents("HPACK is in step", "headers 1 200 x-custom=value end", "closed 1")
}

// A client that shuts down opens no streams and takes no promises.
func TestClientShutdown(t *testing.T) {
	p := newPeer(t, Client, func(cfg *Config) { cfg.EnablePush = true })
	p.open(true)
	p.outcome()
	p.c.Shutdown(p.now)
	p.take()
	p.want("first step", firstGoAway, drainPingLine)
	if err := p.c.CanOpen(); !errors.Is(err, ErrNoMoreStreams) {
		t.Errorf("a stream can be opened: %v", err)
	}
	p.send(frame.Ping{Ack: true, Data: drainPing}, h2test.Response(1, 200).End())
	p.want("second step", "GOAWAY 0 NO_ERROR")
	if !p.c.Drained() {
		t.Error("not drained")
	}
}

// Where the server cannot push, there is nothing in flight to wait for.
func TestClientShutdownWithoutPush(t *testing.T) {
	p := newPeer(t, Client)
	p.open(true)
	p.outcome()
	p.c.Shutdown(p.now)
	p.take()
	p.want("one step", "GOAWAY 0 NO_ERROR")
	p.send(h2test.Response(1, 200).End())
	p.outcome()
	if !p.c.Drained() {
		t.Error("not drained")
	}
}

// What an error leaves behind.
func TestFail(t *testing.T) {
	p := newPeer(t, Server)
	p.c.cfg.MaxUnread = 0
	p.send(h2test.GetOpen(1), h2test.GetOpen(3))
	for range 3 {
		p.send(h2test.DataOf(3, 16384))
	}
	p.answer(1, false)
	p.outcome()
	p.send(h2test.Data(0, "x"))
	p.want("the reason is in the debug data", `GOAWAY 3 PROTOCOL_ERROR "DATA on stream 0 (RFC 9113 §6.1)"`)
	if !errors.Is(p.c.Err(), frame.ProtocolError) || p.c.Counts().LastError != frame.ProtocolError {
		t.Errorf("Err is %v, LastError %v", p.c.Err(), p.c.Counts().LastError)
	}
	p.c.Fail(frame.NewConnError(frame.InternalError, "", "again"))
	p.c.Shutdown(p.now)
	if err := p.c.Tick(p.now); err != nil {
		t.Errorf("Tick: %v", err)
	}
	if err := p.c.Queue(p.stream(1), Content{Data: []byte("x")}); !errors.Is(err, ErrClosed) {
		t.Errorf("Queue: %v", err)
	}
	p.consume(3, -1)
	p.flush()
	p.want("nothing follows GOAWAY")
	if err := p.c.CanOpen(); !errors.Is(err, ErrNoMoreStreams) {
		t.Errorf("CanOpen: %v", err)
	}
}

// A client that has sent GOAWAY gets ours when its streams have ended, and the connection is over.
func TestServerFollowsGoAway(t *testing.T) {
	for _, open := range []bool{false, true} {
		p := newPeer(t, Server)
		if open {
			p.send(h2test.Get(1))
		}
		p.outcome()
		p.send(frame.GoAway{})
		if open {
			p.want("a stream runs")
			p.answer(1, true)
			p.out = p.out[1:] // the response
		}
		p.want("nothing runs", "GOAWAY 2147483647 NO_ERROR", `PING "sluicego"`)
		p.tick(time.Second)
		if !p.c.Drained() {
			t.Error("not drained")
		}
	}
}
