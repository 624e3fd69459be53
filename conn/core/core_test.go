package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A peer is the other end of the Conn c, played by a test with frames that package frame builds.
// What c answers, and the events that it gives, are kept as lines of text until want, wantEvents or
// outcome takes them.
type peer struct {
	tb  testing.TB
	c   Driver
	now time.Time

	rest  []byte // octets that c has not taken
	codec *h2test.Codec

	streams map[uint32]*Stream // that events have named
	unread  map[*Stream]int    // octets of EventData that the test has not consumed
	out     []string
	events  []string
	faults  []string // of streams
	err     error    // that ended c
	octets  int      // that c has sent

	spent   int64            // octets of DATA payload sent, padding included
	granted map[uint32]int64 // increments of WINDOW_UPDATE received, by stream
}

var epoch = time.Unix(1_000_000_000, 0)

// testConfig has small windows, and limits that are those of the package.
func testConfig(role Role) Config {
	return Config{
		Role:                 role,
		MaxConcurrentStreams: 100,
		DecoderTableSize:     4096,
		EncoderTableSize:     4096,
		MaxReadFrameSize:     frame.MinMaxFrameSize,
		StreamWindow:         frame.DefaultWindow,
		ConnWindow:           frame.DefaultWindow,
		MaxUnread:            1 << 20,
		MaxHeaderBytes:       64 << 10,
		MaxHeaderFields:      200,
	}
}

// newPeer begins a connection on which c plays the role, and finishes the exchange of SETTINGS.
func newPeer(tb testing.TB, role Role, change ...func(*Config)) *peer {
	tb.Helper()
	p := newSilentPeer(tb, role, change...)
	p.greet()
	p.send(frame.Settings{Ack: true})
	p.alive("the exchange of SETTINGS")
	p.out, p.events = nil, nil
	return p
}

// newSilentPeer begins a connection and sends nothing.
func newSilentPeer(tb testing.TB, role Role, change ...func(*Config)) *peer {
	tb.Helper()
	cfg := testConfig(role)
	for _, f := range change {
		f(&cfg)
	}
	p := &peer{
		tb: tb, c: New(cfg).Driver(), now: epoch,
		codec:   h2test.NewCodec(),
		streams: make(map[uint32]*Stream), unread: make(map[*Stream]int), granted: make(map[uint32]int64),
	}
	p.c.Start(p.now)
	p.take()
	return p
}

// greet sends the peer's preface.
func (p *peer) greet(settings ...frame.Setting) {
	p.tb.Helper()
	if p.c.cfg.Role == Server && !p.c.cfg.PrefaceDone {
		p.send(frame.Preface)
	}
	p.send(frame.NewSettings(settings...))
}

// send gives c items of package h2test, all in one piece.
func (p *peer) send(items ...any) {
	p.tb.Helper()
	if p.err != nil {
		p.tb.Fatalf("sending to a connection that has ended: %v", p.err)
	}
	p.rest = append(p.rest, p.encode(items)...)
	p.receive()
}

// encode returns the octets of items, and counts what they take of windows.
func (p *peer) encode(items []any) []byte {
	for _, it := range items {
		if f, ok := it.(frame.Frame); ok && f.FrameHeader().Type == frame.TypeData {
			p.spent += int64(f.FrameHeader().Length)
		}
	}
	return p.codec.Append(nil, items...)
}

func (p *peer) receive() {
	p.tb.Helper()
	for more := true; more; {
		var n int
		var err error
		n, more, err = p.c.Receive(p.rest, p.now)
		p.takeEvents()
		if err != nil {
			p.die(err)
			return
		}
		p.rest = append([]byte(nil), p.rest[n:]...)
	}
	p.take()
}

// die is what a caller does with an error.
func (p *peer) die(err error) {
	p.tb.Helper()
	var ce *frame.ConnError
	if !errors.As(err, &ce) {
		p.tb.Fatalf("the error is a %T: %v", err, err)
	}
	p.err = err
	p.c.Fail(ce)
	p.take()
}

// tick moves the clock and calls Tick.
func (p *peer) tick(d time.Duration) {
	p.tb.Helper()
	p.now = p.now.Add(d)
	err := p.c.Tick(p.now)
	p.takeEvents()
	if err != nil {
		p.die(err)
	}
	p.take()
}

// flush makes c send what it may, and takes it.
func (p *peer) flush() {
	p.tb.Helper()
	p.c.Fill(1 << 30)
	p.takeEvents()
	p.take()
}

// consume reads n octets of what stream id has received; -1 is all.
func (p *peer) consume(id uint32, n int) {
	p.tb.Helper()
	s := p.stream(id)
	if n < 0 {
		n = p.unread[s]
	}
	p.unread[s] -= n
	if p.c.Consume(s, n) {
		p.c.Tune(s, p.now)
	}
	p.take()
}

// stream is the stream that an event, or open, has named.
func (p *peer) stream(id uint32) *Stream {
	p.tb.Helper()
	s := p.streams[id]
	if s == nil {
		p.tb.Fatalf("no event has named stream %d", id)
	}
	return s
}

// open makes c, a client, open a stream.
func (p *peer) open(end bool, more ...string) uint32 {
	p.tb.Helper()
	s, err := p.c.Open(Request{Fields: requestFields(more...), End: end})
	if err != nil {
		p.tb.Fatal(err)
	}
	p.streams[s.ID] = s
	p.flush()
	return s.ID
}

// answer makes c, a server, send the head of a response.
func (p *peer) answer(id uint32, end bool, more ...string) {
	p.tb.Helper()
	if err := p.c.SendHead(p.stream(id), ResponseHead{Fields: responseFields(more...), End: end}); err != nil {
		p.tb.Fatal(err)
	}
	p.flush()
}

// queue makes c send data on a stream.
func (p *peer) queue(id uint32, n int, end bool, trailers ...string) {
	p.tb.Helper()
	content := Content{Data: make([]byte, n), Trailers: h2test.Fields(trailers...), End: end}
	if err := p.c.Queue(p.stream(id), content); err != nil {
		p.tb.Fatal(err)
	}
	p.flush()
}

// want checks all frames that c has sent since the last look.
func (p *peer) want(why string, frames ...string) {
	p.tb.Helper()
	got := p.out
	p.out = nil
	if !slices.Equal(got, frames) {
		p.tb.Fatalf("%s: frames sent (-want +got):\n%s", why, cmp.Diff(frames, got))
	}
}

// wantEvents checks all events since the last look.
func (p *peer) wantEvents(why string, events ...string) {
	p.tb.Helper()
	got := p.events
	p.events = nil
	if !slices.Equal(got, events) {
		p.tb.Fatalf("%s: events (-want +got):\n%s", why, cmp.Diff(events, got))
	}
}

// wantQuiet checks that nothing has happened since the last look.
func (p *peer) wantQuiet(why string) {
	p.tb.Helper()
	p.want(why)
	p.wantEvents(why)
	p.alive(why)
}

// wantDead checks that a connection error has ended c, and that its GOAWAY says why.
func (p *peer) wantDead(why string, code frame.Code, text string) {
	p.tb.Helper()
	if p.err == nil {
		p.tb.Fatalf("%s: the connection lives, and has sent %q", why, p.out)
	}
	if !errors.Is(p.err, code) || !strings.Contains(p.err.Error(), text) {
		p.tb.Fatalf("%s: ended with %q, want %v for %q", why, p.err, code, text)
	}
	last := ""
	if len(p.out) > 0 {
		last = p.out[len(p.out)-1]
	}
	if !strings.HasPrefix(last, "GOAWAY") || !strings.Contains(last, code.String()) || !strings.Contains(last, text) {
		p.tb.Fatalf("%s: the last frame is %q, want GOAWAY with %v and %q", why, last, code, text)
	}
}

// alive checks that no connection error has been found.
func (p *peer) alive(why string) {
	p.tb.Helper()
	if p.err != nil {
		p.tb.Fatalf("%s: the connection has ended: %v", why, p.err)
	}
}

// outcome is all that has happened since the last look, for tables: frames sent, then events, or
// the error of the connection.
func (p *peer) outcome() string {
	out, events := p.out, p.events
	p.out, p.events = nil, nil
	var ce *frame.ConnError
	if errors.As(p.err, &ce) {
		return fmt.Sprintf("GOAWAY %v %s", ce.Code, ce.Section)
	}
	return strings.Join(append(out, events...), "; ")
}
