package inspect

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
)

// Content that waits for the end of its exchange is bounded in all, and cut where it is too much.
func TestKeptContent(t *testing.T) {
	x := newHTTP1(io.Discard, true)
	content := &capture.Content{Conn: 1, Octets: bytes.Repeat([]byte("abc"), maxKeptContent/4)}
	for i, want := range []int{maxKeptContent / 4 * 3, maxKeptContent / 4, 0} {
		content.Stream = uint32(2*i + 1)
		x.keep(content)
		got := x.content[conn{1, content.Stream}][capture.Client]
		if len(got.Octets) != want || (got.Err != nil) != (i > 0) {
			t.Errorf("stream %d: %d octets, %v, want %d", content.Stream, len(got.Octets), got.Err, want)
		}
	}
	x.event(&capture.End{Conn: 1})
	if x.kept != 0 || len(x.content) != 0 {
		t.Errorf("%d octets of %d exchanges are kept behind the end", x.kept, len(x.content))
	}
}

// A long line of content is shown whole, in pieces that do not cut a character.
func TestLongContent(t *testing.T) {
	long := strings.Repeat("é", 5000) + "\x00" + strings.Repeat("abc", 5000)
	var out bytes.Buffer
	newText(&out, false).content(&capture.Content{Octets: []byte(long + "\r\nsecond")})
	_, shown, _ := strings.Cut(out.String(), "\n")
	want := indent + "| " + strings.Replace(long, "\x00", `\x00`, 1) + "\n" + indent + "| second\n"
	if shown != want {
		t.Errorf("%d octets, want %d: %.100q", len(shown), len(want), shown)
	}
}

// Messages of gRPC are shown one by one, and are kept for the end of their exchange in place of the
// octets that they were in.
func TestMessages(t *testing.T) {
	c := &capture.Content{Conn: 1, Stream: 1, Octets: make([]byte, 100), Messages: []capture.GRPCMessage{
		{Compressed: true, Sent: 9, Octets: []byte("hello")}, {Octets: []byte{0xff}, Sent: 1, Err: io.ErrUnexpectedEOF},
	}}
	var out bytes.Buffer
	newText(&out, false).content(c)
	_, shown, _ := strings.Cut(out.String(), "\n")
	const want = indent + "message 1: 5 octets, sent as 9 octets that are compressed\n" + indent + "| hello\n" +
		indent + "message 2: 1 octet  unexpected EOF\n" + indent + "| (no text)\n"
	if shown != want {
		t.Errorf("%q, want %q", shown, want)
	}
	x := newHTTP1(io.Discard, true)
	x.keep(c)
	if want := 6 + 2*messageOverhead; x.kept != want {
		t.Errorf("%d octets are kept, want %d", x.kept, want)
	}
	if x.take(conn{1, 1}); x.kept != 0 {
		t.Errorf("%d octets are kept behind the end", x.kept)
	}
}

// Messages without octets take memory, too, which is bounded.
func TestKeptMessages(t *testing.T) {
	x := newHTTP1(io.Discard, true)
	n := 0
	for i := range 2 * maxKeptContent / messageOverhead / 1000 {
		c := &capture.Content{Conn: 1, Stream: uint32(2*i + 1), Messages: make([]capture.GRPCMessage, 1000)}
		x.keep(c)
		got := x.content[conn{1, c.Stream}][capture.Client]
		n += len(got.Messages)
		if len(got.Messages) < 1000 && got.Err == nil {
			t.Errorf("stream %d: %d messages and no error", c.Stream, len(got.Messages))
		}
	}
	if n != maxKeptContent/messageOverhead {
		t.Errorf("%d messages are kept, want %d", n, maxKeptContent/messageOverhead)
	}
	if x.event(&capture.End{Conn: 1}); x.kept != 0 {
		t.Errorf("%d octets are kept behind the end", x.kept)
	}
}
