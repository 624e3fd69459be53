package core

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream"
)

// wantErr checks what a call of our own side returns.
func wantErr(t *testing.T, why string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || (got == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", why, got, want)
	}
}

func TestSendResponse(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1))
	p.outcome()
	s := p.stream(1)
	wantErr(t, "DATA before the head", p.c.Queue(s, Content{Data: []byte("x")}), ErrOrder)
	wantErr(t, "103", p.c.SendHead(s, ResponseHead{Fields: h2test.Fields(":status: 103"), Interim: true}), nil)
	wantErr(
		t,
		"interim with an end",
		p.c.SendHead(s, ResponseHead{Fields: h2test.Fields(":status: 103"), Interim: true, End: true}),
		ErrOrder,
	)
	wantErr(t, "DATA after 103", p.c.Queue(s, Content{Data: []byte("x")}), ErrOrder)
	wantErr(t, "200", p.c.SendHead(s, ResponseHead{Fields: h2test.Fields(":status: 200")}), nil)
	wantErr(t, "a second head", p.c.SendHead(s, ResponseHead{Fields: h2test.Fields(":status: 200")}), ErrOrder)
	wantErr(
		t,
		"103 after 200",
		p.c.SendHead(s, ResponseHead{Fields: h2test.Fields(":status: 103"), Interim: true}),
		ErrOrder,
	)
	wantErr(t, "content", p.c.Queue(s, Content{Data: []byte("abc")}), nil)
	wantErr(t, "while content waits", p.c.Queue(s, Content{Data: []byte("d")}), ErrBusy)
	p.flush()
	wantErr(t, "nothing", p.c.Queue(s, Content{}), nil)
	wantErr(t, "the end", p.c.Queue(s, Content{Data: []byte("de"), Trailers: h2test.Fields("x: y"), End: true}), nil)
	wantErr(t, "after the end is queued", p.c.Queue(s, Content{Data: []byte("f")}), ErrClosed)
	p.flush()
	p.want("in order", "HEADERS 1 :status=103", "HEADERS 1 :status=200", "DATA 1 3 octets", "DATA 1 2 octets",
		"HEADERS 1 x=y END_STREAM")
	p.wantEvents("each part is told", "drained 1", "drained 1", "drained 1", "closed 1")
	wantErr(t, "after the end", p.c.Queue(s, Content{End: true}), ErrClosed)
	wantErr(t, "after the end", p.c.SendHead(s, ResponseHead{Fields: h2test.Fields(":status: 200")}), ErrClosed)
	p.c.Reset(s, frame.Cancel)
	p.flush()
	p.wantQuiet("a stream that is closed is not reset")
}

// The ways in which a message of ours ends.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     int
		trailers []string
		want     []string
	}{
		{"data", 3, nil, []string{"DATA 1 3 octets END_STREAM"}},
		{"data and trailers", 3, []string{"x: y"}, []string{"DATA 1 3 octets", "HEADERS 1 x=y END_STREAM"}},
		{"nothing", 0, nil, []string{"DATA 1 0 octets END_STREAM"}},
		{"trailers", 0, []string{"x: y"}, []string{"HEADERS 1 x=y END_STREAM"}},
		{"two frames", 20_000, nil, []string{"DATA 1 16384 octets", "DATA 1 3616 octets END_STREAM"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Client)
			p.open(false)
			p.outcome()
			p.queue(1, tt.data, true, tt.trailers...)
			p.want("the end", tt.want...)
			p.wantEvents("drained", "drained 1")
			if st := p.stream(1).State(); st != stream.HalfClosedLocal {
				t.Errorf("the state is %v", st)
			}
		})
	}
}

// The end of a message needs no window.
func TestEndWithoutWindow(t *testing.T) {
	p := newPeer(t, Server)
	p.send(
		h2test.Settings(setting(frame.SettingInitialWindowSize, 0)),
		h2test.Get(1),
		h2test.Get(3),
	)
	p.answer(1, false)
	p.answer(3, false)
	p.outcome()
	p.queue(1, 0, true)
	p.queue(3, 0, true, "x: y")
	p.want("ends", "DATA 1 0 octets END_STREAM", "HEADERS 3 x=y END_STREAM")
}

// Long blocks go in frames of the peer's size, and what is in them is whole.
func TestLongBlock(t *testing.T) {
	p := newPeer(t, Server)
	long := "x: " + strings.Repeat("\x7f", 40_000) // not shorter in Huffman code
	p.send(h2test.Get(1), h2test.Get(3))
	p.outcome()
	p.answer(1, false, long)
	p.want("three frames", "HEADERS 1 :status=200 x="+long[3:]+" in 3 frames")
	p.send(h2test.Settings(setting(frame.SettingMaxFrameSize, 50_000)))
	p.outcome()
	p.answer(3, true, long)
	p.queue(1, 0, true, long)
	p.want("one frame", "HEADERS 3 :status=200 x="+long[3:]+" END_STREAM", "HEADERS 1 x="+long[3:]+" END_STREAM")
}

// DATA is as large as the peer and the windows allow, and Fill stops where it is told to.
func TestFill(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Get(1), h2test.Settings(setting(frame.SettingInitialWindowSize, 40_000)))
	p.answer(1, false)
	p.outcome()
	if err := p.c.Queue(p.stream(1), Content{Data: make([]byte, 100_000), End: true}); err != nil {
		t.Fatal(err)
	}
	p.c.Fill(0)
	p.take()
	p.want("no room")
	p.c.Fill(1)
	p.take()
	p.want("room for one frame", "DATA 1 16384 octets")
	p.flush()
	p.want("the stream's window", "DATA 1 16384 octets", "DATA 1 7232 octets")
	if got := len(p.stream(1).out.data); got != 60_000 {
		t.Errorf("%d octets wait, want 60000", got)
	}
	p.send(h2test.WindowUpdate(1, 50_000))
	p.flush()
	p.want("the connection's window", "DATA 1 16384 octets", "DATA 1 9151 octets")
	if got := p.c.SendWindow(); got != 0 {
		t.Errorf("the connection's window is %d", got)
	}
	p.send(h2test.WindowUpdate(0, 1<<20), h2test.Settings(setting(frame.SettingMaxFrameSize, 1<<20)))
	p.flush()
	p.want("the stream's again", "SETTINGS ack", "DATA 1 24465 octets")
	p.send(h2test.WindowUpdate(1, 1<<20))
	p.flush()
	p.want("the end", "DATA 1 10000 octets END_STREAM")
	p.wantEvents("once all is in the output", "settings", "drained 1", "closed 1")
}

// Finish sends what can go at once, and else does nothing.
func TestFinish(t *testing.T) {
	p := newPeer(t, Server)
	p.send(
		h2test.Settings(setting(frame.SettingInitialWindowSize, 40_000)),
		h2test.Get(1),
		h2test.Get(3),
		h2test.Get(5),
	)
	p.outcome()
	no := func(what string, id uint32, n, limit int) {
		t.Helper()
		if p.c.Finish(p.stream(id), make([]byte, n), limit) {
			t.Errorf("%s: it is sent", what)
		}
	}
	no("before the head", 1, 1, 100)
	for id := range 3 {
		p.answer(ids(id), false)
	}
	no("an output that is full", 1, 1, p.c.OutputLen())
	p.outcome()
	no("nothing", 1, 0, 100)
	no("more than a frame", 1, frame.MinMaxFrameSize+1, 100)
	p.send(h2test.Settings(setting(frame.SettingMaxFrameSize, 1<<20)))
	p.outcome()
	no("more than the window", 1, 40_001, 100)
	wantErr(t, "Queue", p.c.Queue(p.stream(3), Content{Data: make([]byte, 40_001), End: true}), nil)
	no("while another one is ready", 1, 1, 100)
	no("what is queued already", 3, 1, 100)
	p.flush()
	p.want("another one", "DATA 3 40000 octets")
	stream1 := p.stream(1)
	if !p.c.Finish(stream1, make([]byte, 20_000), 1) {
		t.Error("it is not sent")
	}
	p.flush()
	p.want("all at once", "DATA 1 20000 octets END_STREAM")
	p.wantEvents("and the stream is closed", "closed 1")
	if p.c.Finish(stream1, []byte("x"), 100) {
		t.Error("it is sent after the end")
	}
	no("more than the connection's window", 5, 20_000, 100)
	p.c.StopRecv(p.stream(5))
}

// However large the frames that the peer takes, others have their turn.
func TestLargeFrames(t *testing.T) {
	p := newPeer(t, Server)
	p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<30), setting(frame.SettingMaxFrameSize, 1<<20)),
		h2test.WindowUpdate(0, 1<<30))
	p.send(h2test.Get(1))
	p.answer(1, false)
	p.outcome()
	p.queue(1, 100_000, true)
	p.want("in two", "DATA 1 65536 octets", "DATA 1 34464 octets END_STREAM")
}

// Streams take turns.
func TestTurns(t *testing.T) {
	p := newPeer(t, Server)
	p.send(
		h2test.WindowUpdate(0, 1<<20),
		h2test.Get(1),
		h2test.Get(3),
		h2test.Get(5),
	)
	for id := range 3 {
		p.answer(ids(id), false)
	}
	p.outcome()
	for id, n := range []int{40_000, 40_000, 5} {
		if err := p.c.Queue(p.stream(ids(id)), Content{Data: make([]byte, n), End: true}); err != nil {
			t.Fatal(err)
		}
	}
	p.flush()
	if at := slices.Index(p.out, "DATA 5 5 octets END_STREAM"); at < 0 || at > 4 {
		t.Errorf("the short one waits for the long ones: %q", p.out)
	}
}

// Keep copies what waits; Unqueue takes it back.
func TestKeepUnqueue(t *testing.T) {
	p := newPeer(t, Server)
	p.send(
		h2test.Settings(setting(frame.SettingInitialWindowSize, 4)),
		h2test.Get(1),
		h2test.Get(3),
	)
	p.answer(1, false)
	p.answer(3, false)
	p.outcome()
	b := []byte("12345678")
	wantErr(t, "Queue", p.c.Queue(p.stream(1), Content{Data: b, Trailers: h2test.Fields("x: y"), End: true}), nil)
	wantErr(t, "Queue", p.c.Queue(p.stream(3), Content{Data: b, Trailers: h2test.Fields("x: y"), End: true}), nil)
	p.flush()
	p.c.Keep(p.stream(1))
	if n := testing.AllocsPerRun(10, func() { p.c.Keep(p.stream(1)) }); n != 0 {
		t.Error("what is kept is copied again")
	}
	copy(b, "xxxxxxxx")
	if n := p.c.Unqueue(p.stream(3)); n != 4 {
		t.Errorf("%d octets were taken back, want 4", n)
	}
	if n := p.c.Unqueue(p.stream(3)); n != 0 {
		t.Errorf("%d octets were taken back, want 0", n)
	}
	p.outcome()
	p.send(h2test.WindowUpdate(1, 9), h2test.WindowUpdate(3, 9))
	p.c.Fill(1000)
	if got := string(p.c.out); !strings.Contains(got, "5678") || strings.Contains(got, "xx") {
		t.Errorf("what was kept is sent as %q", got)
	}
	p.flush()
	p.want("one goes on", "DATA 1 4 octets", "HEADERS 1 x=y END_STREAM")
	p.queue(3, 1, true)
	p.want("the other can begin again", "DATA 3 1 octets END_STREAM")
}

// What is queued goes with its stream.
func TestQueueAndReset(t *testing.T) {
	p := newPeer(t, Server)
	p.send(
		h2test.Settings(setting(frame.SettingInitialWindowSize, 0)),
		h2test.Get(1),
		h2test.Get(3),
	)
	for id := range 2 {
		p.answer(ids(id), false)
		p.queue(ids(id), 10, true)
	}
	p.outcome()
	p.send(h2test.RST(1, frame.Cancel))
	p.c.Reset(p.stream(3), frame.InternalError)
	p.send(h2test.WindowUpdate(1, 100), h2test.WindowUpdate(3, 100))
	p.flush()
	p.want("no DATA", "RST_STREAM 3 INTERNAL_ERROR")
	p.wantEvents("no drained", "reset 1 remote CANCEL", "closed 1", "reset 3 local INTERNAL_ERROR", "closed 3")
	if p.c.sched.Next() != nil {
		t.Error("a closed stream is to send")
	}
}

// setNextID makes id the next identifier that c gives out. Opening all streams before it would take
// too long, and no program skips identifiers, so package stream has no method for it.
func setNextID(c Driver, id uint32) {
	next := reflect.ValueOf(c.streams.ids).Elem().FieldByName("next")
	*(*uint32)(next.Addr().UnsafePointer()) = id
}

// Identifiers end at 2^31-1: another connection is needed then, and no stream is harmed.
func TestIdentifiersUsedUp(t *testing.T) {
	p := newPeer(t, Client)
	setNextID(p.c, frame.MaxStreamID-2)
	p.open(true)
	if id := p.open(true); id != frame.MaxStreamID {
		t.Errorf("the last identifier is %d", id)
	}
	wantErr(t, "CanOpen", p.c.CanOpen(), ErrNoMoreStreams)
	_, err := p.c.Open(Request{Fields: requestFields(), End: true})
	wantErr(t, "Open", err, ErrNoMoreStreams)
	p.send(h2test.Response(frame.MaxStreamID, 200).End(), h2test.Response(frame.MaxStreamID-2, 200).End())
	p.alive("both are answered")

	p = newPeer(t, Server)
	p.send(h2test.Get(frame.MaxStreamID))
	p.wantEvents("the last request is a request", "headers 2147483647 GET / end")
	p.want("and the client needs a new connection", firstGoAway, drainPingLine)
}

// SETTINGS_MAX_CONCURRENT_STREAMS of the peer, up and down.
func TestPeersMaxConcurrentStreams(t *testing.T) {
	p := newPeer(t, Client)
	limit := func(n uint32) { p.send(h2test.Settings(setting(frame.SettingMaxConcurrentStreams, n))) }
	limit(2)
	p.open(true)
	p.open(true)
	wantErr(t, "two are open", p.c.CanOpen(), ErrNoStream)
	limit(3)
	p.open(true)
	limit(1)
	p.send(h2test.Response(1, 200).End(), h2test.Response(3, 200).End())
	wantErr(t, "one is open", p.c.CanOpen(), ErrNoStream)
	p.c.Reset(p.stream(5), frame.Cancel)
	wantErr(t, "none is open", p.c.CanOpen(), nil)
	limit(0)
	_, err := p.c.Open(Request{Fields: requestFields(), End: true})
	wantErr(t, "none may be open", err, ErrNoStream)
	limit(1)
	p.open(true)
}

// StopRecv lets the response end, and only then stops the peer (RFC 9113 §8.1).
func TestStopRecv(t *testing.T) {
	begin := func() *peer {
		p := newPeer(t, Server)
		p.send(h2test.GetOpen(1))
		p.outcome()
		return p
	}
	const stopped = "RST_STREAM 1 NO_ERROR"
	p := begin()
	p.c.StopRecv(p.stream(1))
	p.wantQuiet("the response has not ended")
	p.answer(1, true)
	p.want("the end is in HEADERS", "HEADERS 1 :status=200 END_STREAM", stopped)

	p = begin()
	p.answer(1, false)
	p.c.StopRecv(p.stream(1))
	p.queue(1, 100_000, true)
	p.outcome()
	p.send(h2test.Data(1, "more"), h2test.WindowUpdate(0, 1<<20), h2test.WindowUpdate(1, 1<<20))
	p.flush()
	if last := p.out[len(p.out)-1]; last != stopped {
		t.Errorf("the last frame is %q", last)
	}

	p = begin()
	p.answer(1, true)
	p.outcome()
	p.c.StopRecv(p.stream(1))
	p.take()
	p.want("the response has ended", stopped)

	p = begin()
	p.c.StopRecv(p.stream(1))
	p.send(h2test.DataEnd(1, "x"))
	p.answer(1, true)
	p.want("the peer has ended by itself", "HEADERS 1 :status=200 END_STREAM")
	p.wantEvents("in peace", "data 1 1 end", "closed 1")
}

func TestCounts(t *testing.T) {
	p := newPeer(t, Server)
	p.send(
		h2test.GetOpen(1),
		h2test.Data(1, "12"),
		h2test.Frame(frame.TypeData, 9, 1, 1, 'x', 0),
		h2test.Ping("12345678"),
		h2test.WindowUpdate(0, 1),
		h2test.GetOpen(3),
		h2test.RST(3, 0),
	)
	p.answer(1, false)
	p.queue(1, 7, true)
	p.send(h2test.GetOpen(5))
	p.c.Reset(p.stream(5), frame.Cancel)
	want := Counts{
		FramesIn: 10, FramesOut: 6, DataIn: 3, DataOut: 7, StreamsOpened: 3, StreamsClosed: 3,
		StreamsResetLocal: 1, StreamsResetRemote: 1, ResetsIn: 1, ResetsOut: 1,
		PingsIn: 1, SettingsIn: 1, WindowUpdatesIn: 1,
	}
	if got := p.c.Counts(); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}
