package h2test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// What one Codec sends another one reads, and Text writes it.
func TestLines(t *testing.T) {
	for _, tt := range []struct {
		item any
		want string
		text Text
	}{
		{Get(1), "HEADERS 1 :method=GET :scheme=https :authority=example.com :path=/ END_STREAM", Text{}},
		{Post(3, "x: y"), "HEADERS 3 :method=POST :scheme=https :authority=example.com :path=/ x=y", Text{}},
		{
			Response(1, 200, "date: now", "a: b: c").Cut(2),
			"HEADERS 1 :status=200 a=b: c in 2 frames",
			Text{Omit: []string{"date"}},
		},
		{Trailers(1, "x: y").Pad(9), "HEADERS 1 x=y END_STREAM", Text{}},
		{
			Promise(1, 2).Cut(3),
			"PUSH_PROMISE 1 2 :method=GET :scheme=https :authority=example.com :path=/ in 3 frames",
			Text{},
		},
		{Headers(5, "x: y").WithPriority(frame.PriorityParam{DependsOn: 3}), "HEADERS 5 x=y", Text{}},
		{Data(1, "x"), `DATA 1 "x"`, Text{}},
		{DataEnd(1, ""), `DATA 1 "" END_STREAM`, Text{}},
		{DataOf(1, 300), "DATA 1 300 octets", Text{}},
		{DataOf(1, 300), "DATA 1 300 octets, checksum b5348fd2", Text{Checksums: true}},
		{DataOf(1, 3), "DATA 1 3 octets", Text{Lengths: true}},
		{RST(1, frame.Cancel), "RST_STREAM 1 CANCEL", Text{}},
		{WindowUpdate(0, 7), "WINDOW_UPDATE 0 7", Text{}},
		{Settings(InitialWindow(1)), "SETTINGS SETTINGS_INITIAL_WINDOW_SIZE=1", Text{}},
		{Ack, "SETTINGS ack", Text{}},
		{Ping("12345678"), `PING "12345678"`, Text{}},
		{PingAck("12345678"), `PING "12345678" ack`, Text{}},
		{GoAway(1, frame.NoError, ""), "GOAWAY 1 NO_ERROR", Text{}},
		{GoAway(0, frame.ProtocolError, "why"), `GOAWAY 0 PROTOCOL_ERROR "why"`, Text{}},
		{
			Frame(frame.TypePriorityUpdate, 0, 0, 0, 0, 0, 1, 'u'),
			frame.PriorityUpdate{PrioritizedID: 1, Value: []byte("u")}.String(),
			Text{},
		},
	} {
		b := NewCodec().Append(nil, tt.item, Raw("more"))
		got, n, err := NewCodec().Next(b)
		if err != nil || n != len(b)-len("more") {
			t.Errorf("%s: %d of %d octets, %v", tt.want, n, len(b), err)
			continue
		}
		if line := tt.text.Line(got); line != tt.want {
			t.Errorf("got %s, want %s", line, tt.want)
		}
	}
}

// The HPACK state of a connection goes on from block to block, and an item that is not all there is
// left.
func TestCodecInPieces(t *testing.T) {
	from, to := NewCodec(), NewCodec()
	b := from.Append(nil, Get(1, "a: b"), Get(3, "a: b").Cut(4), DataEnd(5, "x"))
	var got []string
	var in []byte
	for _, o := range b {
		in = append(in, o)
		it, n, err := to.Next(in)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			got, in = append(got, Text{}.Line(it)), nil
		}
	}
	want := Text{}.Lines(Get(1, "a: b"), Get(3, "a: b").Cut(4), DataEnd(5, "x"))
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCodecRefuses(t *testing.T) {
	for why, items := range map[string][]any{
		"a field block that another frame interrupts": {Get(1).Open(), Data(1, "")},
		"a field block that cannot be decoded":        {frame.Headers{StreamID: 1, EndHeaders: true, Fragment: []byte{0xff}}},
		"a frame that breaks the rules of its type":   {Frame(frame.TypePing, 0, 0, 1)},
	} {
		if it, _, err := NewCodec().Next(NewCodec().Append(nil, items...)); err == nil {
			t.Errorf("%s is read as %v", why, it)
		}
	}
	for why, f := range map[string]func(){
		"a field without a colon":          func() { Fields("x") },
		"an item of a type without octets": func() { NewCodec().Append(nil, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", why)
				}
			}()
			f()
		}()
	}
}

func TestBlockGet(t *testing.T) {
	b := Block{Fields: []hpack.HeaderField{{Name: "a", Value: "1"}, {Name: "a", Value: "2"}}}
	if b.Get("a") != "1" || b.Get("b") != "" {
		t.Errorf("%q, %q", b.Get("a"), b.Get("b"))
	}
}
