package core

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func pushPeer(t *testing.T, change ...func(*Config)) *peer {
	t.Helper()
	p := newPeer(t, Client, append(change, func(cfg *Config) { cfg.EnablePush = true })...)
	p.open(true)
	p.outcome()
	return p
}

// A promised stream, from the promise to the end (RFC 9113 §8.4.2).
func TestPush(t *testing.T) {
	p := pushPeer(t)
	p.send(h2test.Promise(1, 2, "x: y").Cut(2))
	p.wantEvents("the promise", "push 2 on 1 GET / x=y")
	p.send(h2test.Response(1, 200).End())
	p.wantEvents("its parent ends", "headers 1 200 end", "closed 1")
	p.send(
		h2test.Response(2, 103),
		h2test.Response(2, 200, "content-length: 4"),
		h2test.Data(2, "push"),
		h2test.Trailers(2, "x: y"),
	)
	p.wantEvents("the response", "interim 2 103", "headers 2 200 content-length=4", "data 2 4",
		"trailers 2 x=y end", "closed 2")
	p.want("nothing is sent")
	p.consume(2, -1)
	if n := int32(p.c.NumStreams()) + p.c.streams.remote + p.c.streams.local; n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

func TestPushRefused(t *testing.T) {
	p := pushPeer(t)
	p.send(h2test.Promise(1, 2))
	p.c.Reset(p.stream(2), frame.RefusedStream)
	p.take()
	p.takeEvents()
	p.want("a stream that is reserved can be reset", "RST_STREAM 2 REFUSED_STREAM")
	p.wantEvents("refused", "push 2 on 1 GET /", "reset 2 local REFUSED_STREAM", "closed 2")
	p.send(h2test.Response(2, 200, "x-custom: value"), h2test.Data(2, "late"), h2test.Trailers(2, "x: y"))
	p.wantQuiet("what crossed the RST_STREAM is dropped")
	p.wantLedger("dropped")
	p.send(h2test.Response(1, 200, "x-custom: value"))
	p.wantEvents("HPACK is in step", "headers 1 200 x-custom=value")
}

// A promise on a stream that we have reset reserves the stream all the same, or its frames would be
// on an idle one.
func TestPushCrossesReset(t *testing.T) {
	p := pushPeer(t)
	p.c.Reset(p.stream(1), frame.Cancel)
	p.take()
	p.takeEvents()
	p.outcome()
	p.send(h2test.Promise(1, 2, "x-custom: value"), h2test.Response(2, 200), h2test.DataEnd(2, "x"))
	p.want("the pushed stream is cancelled, too", "RST_STREAM 2 CANCEL")
	p.wantEvents("nobody hears of it")
	p.wantLedger("dropped")
	for range 1000 { // until the closed stream 1 is forgotten
		p.c.Reset(p.stream(p.open(true)), frame.Cancel)
	}
	p.take()
	p.takeEvents()
	p.outcome()
	p.send(h2test.Promise(1, 4))
	p.want("as long ago as may be", "RST_STREAM 4 CANCEL")
}

// Two streams at a time, says SETTINGS_MAX_CONCURRENT_STREAMS.
func TestPushLimit(t *testing.T) {
	p := pushPeer(t, func(cfg *Config) { cfg.MaxConcurrentStreams = 2 })
	p.send(
		h2test.Promise(1, 2),
		h2test.Promise(1, 4),
		h2test.Promise(1, 6),
		h2test.Response(2, 200).End(),
		h2test.Promise(1, 8),
	)
	p.want("the third is refused", "RST_STREAM 6 REFUSED_STREAM")
	p.wantEvents("the others", "push 2 on 1 GET /", "push 4 on 1 GET /", "headers 2 200 end", "closed 2",
		"push 8 on 1 GET /")
}

// The rules of RFC 9113 §6.6 and §8.4 on PUSH_PROMISE for a client that takes it.
func TestPushPromise(t *testing.T) {
	const pushed = "push 2 on 1 GET /"
	refused := "RST_STREAM 2 PROTOCOL_ERROR"
	promised := func(list ...string) h2test.Block {
		return h2test.Block{StreamID: 1, PromisedID: 2, Fields: h2test.Fields(list...)}
	}
	for _, tt := range []frameTest{
		{name: "padded", send: []any{h2test.Promise(1, 2).Pad(9)}, want: pushed},
		{
			name: "on stream 0", send: []any{h2test.Frame(frame.TypePushPromise, 4, 0, 0, 0, 0, 2, 0x82)},
			want: protocolError("6.6"),
		},
		{
			name: "stream 0 promised", send: []any{h2test.Frame(frame.TypePushPromise, 4, 1, 0, 0, 0, 0, 0x82)},
			want: protocolError("6.6"),
		},
		{name: "too short", send: []any{h2test.Frame(frame.TypePushPromise, 4, 1, 0, 0, 0)}, want: sizeError("6.6")},
		{name: "odd identifier", send: []any{h2test.Promise(1, 3)}, want: badID},
		{name: "identifier that is in use", send: []any{h2test.Promise(1, 2), h2test.Promise(1, 2)}, want: badID},
		{name: "lower identifier", send: []any{h2test.Promise(1, 4), h2test.Promise(1, 2)}, want: badID},
		{name: "on an idle stream", send: []any{h2test.Promise(3, 2)}, want: protocolError("6.6")},
		{name: "on a pushed stream", send: []any{h2test.Promise(1, 2), h2test.Promise(2, 4)}, want: protocolError("6.6")},
		{
			name: "on a stream that has ended", send: []any{h2test.Response(1, 200).End(), h2test.Promise(1, 2)},
			want: protocolError("6.6"),
		},
		{
			name: "on a stream that the peer has reset", send: []any{h2test.RST(1, frame.NoError), h2test.Promise(1, 2)},
			want: protocolError("6.6"),
		},
		{name: "interrupted", send: []any{h2test.Promise(1, 2).Open(), h2test.Data(1, "x")}, want: protocolError("6.10")},
		{
			name: "not safe", send: []any{promised(":method: POST", ":scheme: https", ":authority: x", ":path: /")},
			want: refused,
		},
		{
			name: "HEAD", send: []any{promised(":method: HEAD", ":scheme: https", ":authority: x", ":path: /")},
			want: "push 2 on 1 HEAD /",
		},
		{name: "content", send: []any{h2test.Promise(1, 2, "content-length: 1")}, want: refused},
		{name: "no authority", send: []any{promised(":method: GET", ":scheme: https", ":path: /")}, want: refused},
		{name: "malformed", send: []any{h2test.Promise(1, 2, "connection: x")}, want: refused},
		{name: "DATA on a reserved stream", send: []any{h2test.Promise(1, 2), h2test.Data(2, "x")}, want: connProtocol},
		{
			name: "WINDOW_UPDATE on a reserved stream", send: []any{h2test.Promise(1, 2), h2test.WindowUpdate(2, 1)},
			want: connProtocol,
		},
		{name: "PRIORITY on a reserved stream", send: []any{h2test.Promise(1, 2), frame.Priority{StreamID: 2}}, want: pushed},
		{
			name: "RST_STREAM on a reserved stream", send: []any{h2test.Promise(1, 2), h2test.RST(2, frame.Cancel)},
			want: pushed + "; reset 2 remote CANCEL; closed 2",
		},
		{
			name: "a request on a reserved stream", send: []any{h2test.Promise(1, 2), h2test.GetOpen(2)},
			want: "RST_STREAM 2 PROTOCOL_ERROR; " + pushed + "; reset 2 local PROTOCOL_ERROR; closed 2",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pushPeer(t)
			p.send(tt.send...)
			if got := p.outcome(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			wantAccounts(t, p.c)
		})
	}
}

// Streams that are promised do not count as open (RFC 9113 §5.1.2): as many may be promised as may
// be open, and more than are allowed cannot be opened.
func TestPushReservedDoNotCount(t *testing.T) {
	p := pushPeer(t, func(cfg *Config) { cfg.MaxConcurrentStreams = 2 })
	p.send(
		h2test.Promise(1, 2),
		h2test.Promise(1, 4),
		h2test.Response(2, 200),
		h2test.Response(4, 200),
		h2test.Promise(1, 6),
		h2test.Promise(1, 8),
	)
	p.want("two are open, two promised")
	p.events = nil
	p.send(h2test.Response(6, 200))
	p.want("a third cannot be opened", "RST_STREAM 6 REFUSED_STREAM")
	p.wantEvents("and is gone", "reset 6 local REFUSED_STREAM", "closed 6")
	p.send(h2test.DataEnd(2, "x"), h2test.Response(8, 200).End(), h2test.DataEnd(4, "x"))
	p.want("there was room")
	if p.c.streams.reserved != 0 || p.c.streams.remote != 0 {
		t.Errorf("%d streams are reserved, %d open", p.c.streams.reserved, p.c.streams.remote)
	}
}

// A request for HEAD that was promised has a response without content.
func TestPushHead(t *testing.T) {
	p := pushPeer(t)
	p.send(
		h2test.Block{
			StreamID:   1,
			PromisedID: 2,
			Fields:     h2test.Fields(":method: HEAD", ":scheme: https", ":authority: x", ":path: /"),
		},
	)
	p.send(h2test.Response(2, 200, "content-length: 10").End())
	p.wantEvents("content-length says nothing", "push 2 on 1 HEAD /", "headers 2 200 content-length=10 end", "closed 2")
}
