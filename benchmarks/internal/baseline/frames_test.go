package baseline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// Frames come out whole, however what is read is cut; of DATA it matters when the last octet has
// come.
func TestFrames(t *testing.T) {
	var b []byte
	b = append(b, frame.Preface...)
	b = frame.AppendSettings(b, frame.Setting{ID: frame.SettingEnablePush, Value: 0})
	b = frame.Headers{StreamID: 1, EndHeaders: true, Fragment: []byte("block")}.Append(b)
	b = frame.Data{StreamID: 1, Data: make([]byte, 3000)}.Append(b)
	b = frame.Data{StreamID: 1, EndStream: true}.Append(b)
	b = frame.Ping{Data: [8]byte{7}}.Append(b)
	want := []string{"DATA 0", "SETTINGS 6", "HEADERS 5", "DATA 0", "DATA 0", "PING 8"} // the first is the preface

	readers := map[string]io.Reader{
		"whole":  bytes.NewReader(b),
		"halves": iotest.HalfReader(bytes.NewReader(b)),
		"octets": iotest.OneByteReader(bytes.NewReader(b)),
	}
	for name, r := range readers {
		var got []string
		var out []byte
		f := frames{skip: len(frame.Preface)}
		buf := make([]byte, 1024)
		for {
			err := f.read(r, buf, func(h frame.Header, payload []byte) {
				got = append(got, fmt.Sprint(h.Type, " ", len(payload)))
				out = appendReply(out, h, payload)
			})
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if want := (frame.Ping{Ack: true, Data: [8]byte{7}}).Append(frame.AppendSettingsAck(nil)); !bytes.Equal(out, want) {
			t.Errorf("%s: answered with %x, want %x", name, out, want)
		}
	}
}

// What needs no answer gets none, or two baselines would never end.
func TestAppendReply(t *testing.T) {
	for _, f := range []frame.Frame{frame.Ping{Ack: true}, frame.WindowUpdate{Increment: 1}, frame.Data{StreamID: 1}} {
		b := f.Append(nil)
		if out := appendReply(nil, frame.ParseHeader(b), b[frame.HeaderLen:]); len(out) > 0 {
			t.Errorf("%v is answered with %x", f, out)
		}
	}
	if out := appendReply(nil, frame.ParseHeader(frame.AppendSettingsAck(nil)), nil); len(out) > 0 {
		t.Errorf("an acknowledgement is answered with %x", out)
	}
}

// A message means the same on each stream and as often as it is sent.
func TestMessages(t *testing.T) {
	request, response := newRequest("127.0.0.1:80", "/x"), newResponse()
	b := request.appendTo(nil, 1)
	b = request.appendTo(b, 3)
	b = response.appendTo(b, 5)
	b = response.appendTo(b, 7)

	dec := hpack.NewDecoder(0, nil)
	var got []string
	for len(b) > 0 {
		h, payload, n, err := frame.Split(b, 1<<14)
		if err != nil || n == 0 {
			t.Fatalf("%x: %v", b, err)
		}
		b = b[n:]
		s := fmt.Sprint(h.StreamID, " ", h.Type, " ", h.Flags.Has(frame.FlagEndStream), " ")
		if h.Type == frame.TypeData {
			s += string(payload)
		} else {
			fields, err := dec.DecodeFull(payload)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fields {
				s += f.Name + "=" + f.Value + " "
			}
		}
		got = append(got, s)
	}
	const asked = " HEADERS true :method=GET :scheme=http :path=/x :authority=127.0.0.1:80 "
	const head, body = " HEADERS false :status=200 content-length=13 ", " DATA true Hello, World!"
	if want := []string{"1" + asked, "3" + asked, "5" + head, "5" + body, "7" + head, "7" + body}; !slices.Equal(
		got,
		want,
	) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Nothing is allocated for an answer.
func TestFramesAllocate(t *testing.T) {
	request, answer := newRequest("127.0.0.1:80", "/"), newResponse()
	in, out := request.appendTo(nil, 1), make([]byte, 0, 1024)
	buf := make([]byte, 1024)
	var f frames
	handle := func(h frame.Header, _ []byte) { out = answer.appendTo(out[:0], h.StreamID) }
	r := bytes.NewReader(nil)
	n := testing.AllocsPerRun(100, func() {
		r.Reset(in)
		if err := f.read(r, buf, handle); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
