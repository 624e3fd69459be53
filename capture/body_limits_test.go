package capture

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContentCut(t *testing.T) {
	text := []byte(strings.Repeat("a line of text that is sent\n", 3))
	for _, coding := range []string{"gzip", "deflate", "br", "zstd", ""} {
		for _, tt := range []struct {
			name string
			rest func(l *contentLog)
			want string
		}{
			{"lost", func(l *contentLog) {
				l.c.Event(&Body{Conn: 1, Stream: 1, Dir: Server, Lost: 5, Octets: []byte("behind")})
				l.body(1, nil, true)
			}, "octets of the content are missing from here on"},
			{"reset", func(l *contentLog) { l.c.Event(&Request{Conn: 1, Stream: 1}) }, "the message was cut off"},
			{"the end", func(l *contentLog) { l.c.Event(&End{Conn: 1}) }, "the message was cut off"},
			{"close", func(l *contentLog) { l.c.Close() }, "the message was cut off"},
		} {
			t.Run(coding+" "+tt.name, func(t *testing.T) {
				l := newContentLog()
				l.head(1, "content-encoding: "+coding)
				p := encode(coding, text)
				l.body(1, p[:len(p)-3], false)
				tt.rest(l)
				if len(l.lines) != 1 || !strings.HasSuffix(l.lines[0], ": "+tt.want) {
					t.Fatalf("%q, want one that ends with %q", l.lines, tt.want)
				}
				// What zstd and brotli give of a block that is not whole is up to them.
				if coding == "gzip" && !strings.Contains(l.lines[0], "84 octets gzip") {
					t.Errorf("%q, want all 84 octets: only the trailer is missing", l.lines)
				}
				if l.c.n != 0 || l.c.waiting != 0 {
					t.Errorf("%d messages and %d octets are still kept", l.c.n, l.c.waiting)
				}
			})
		}
	}
}

func TestContentGap(t *testing.T) {
	for _, tt := range []struct {
		name   string
		length string
		gap    Gap
		want   string
	}{
		{"lost", "", Gap{Conn: 1, Dir: Server}, ": " + errContentGap.Error()},
		{"lost, but all is there", "content-length: 2", Gap{Conn: 1, Dir: Server}, " (a/b)"},
		{"of the client", "", Gap{Conn: 1, Dir: Client}, " (a/b)"},
		{"of another connection", "", Gap{Conn: 2, Dir: Server}, " (a/b)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newContentLog()
			l.head(1, "content-type: a/b", tt.length)
			l.body(1, []byte("a"), false)
			l.c.Event(&tt.gap)
			l.body(1, []byte("b"), true)
			if len(l.lines) != 1 || !strings.HasSuffix(l.lines[0], tt.want) {
				t.Errorf("%q, want one that ends with %q", l.lines, tt.want)
			}
		})
	}
}

func TestContentHeads(t *testing.T) {
	l := newContentLog()
	l.body(1, []byte("a"), true)
	l.head(3, "content-encoding: gzip") // replaces nothing: the final response has come
	l.head(3, "content-encoding: br")
	l.body(3, encode("gzip", []byte("b")), true)
	l.c.Event(&Message{Conn: 2, Stream: 1, Dir: Server, Line: "HTTP/1.1 103 Early Hints", Fields: []Field{
		{Name: "Content-Encoding", Value: "br"},
	}})
	l.c.Event(&Message{Conn: 2, Stream: 1, Dir: Server, Line: "HTTP/1.1 200 OK", Fields: []Field{
		{Name: "Content-Encoding", Value: "gzip"},
	}})
	l.c.Event(&Body{Conn: 2, Stream: 1, Dir: Server, Octets: encode("gzip", []byte("c")), End: true})
	l.head(5)
	l.c.Event(&Request{Conn: 1, Stream: 5}) // without content
	want := []string{
		`1 server "a": the header section was not seen: if the content is compressed, it is shown so`,
		`3 server "b" gzip`, `1 server "c" gzip`,
	}
	if diff := cmp.Diff(want, l.lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestContentLimits(t *testing.T) {
	zeros := make([]byte, 5<<20)
	for _, tt := range []struct {
		name   string
		c      ContentDecoder
		coding string
		octets []byte
		want   string
	}{
		{"decoded", ContentDecoder{MaxDecoded: 100}, "gzip", encode("gzip", zeros), "1 server 100 octets gzip: " +
			"the content becomes longer than 100 octets: the rest is not decoded"},
		{"ratio", ContentDecoder{MaxRatio: 10}, "br", encode("br", zeros), "1 server 1048576 octets br: " +
			"the content becomes longer than 1048576 octets: the rest is not decoded"},
		{"as long as may be", ContentDecoder{MaxDecoded: 60}, "zstd", encode("zstd", zeros[:60]), "1 server 60 octets zstd"},
		{
			"within",
			ContentDecoder{MaxDecoded: 1000},
			"gzip,gzip", encode("gzip", bytes.Repeat(encode("gzip", nil), 1000)),
			`1 server "" gzip gzip: the content becomes longer than 1000 octets: the rest is not decoded`,
		},
		{
			"windows",
			ContentDecoder{},
			"br, br", encode("br", []byte("in br")),
			`1 server "in br" br: its codings need windows of more than 25165824 octets: what is within is not decoded`,
		},
		{
			"three windows",
			ContentDecoder{},
			"zstd, zstd, zstd", encode("zstd", encode("zstd", encode("zstd", []byte("text")))),
			`1 server "text" zstd zstd zstd`,
		},
		{"sent", ContentDecoder{MaxSent: 60}, "", zeros, "1 server 60 octets: " +
			"the content is longer than 60 octets as it was sent: the rest is not kept"},
		{"waiting", ContentDecoder{MaxWaiting: 60}, "", zeros, "1 server 60 octets: " +
			"too much content is under way at once: the rest is not kept"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newContentLog()
			handler := l.c.Handler
			l.c = tt.c
			l.c.Handler = handler
			l.head(1, "content-encoding: "+tt.coding)
			l.body(1, tt.octets, false)
			l.body(1, nil, true)
			if diff := cmp.Diff([]string{tt.want}, l.lines); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Header sections without content, of connections without end, do not fill memory.
func TestContentHeadsBounded(t *testing.T) {
	l, before := newContentLog(), heap()
	f := &Frame{Fields: []Field{{Name: ":status", Value: "200"}, {Name: "content-type", Value: strings.Repeat("x", 9000)}}}
	for i := range 2 * maxOpenHeads {
		f.Conn, f.Header.StreamID = uint64(i/100), uint32(i)
		l.c.Event(f)
	}
	if l.c.n != maxOpenHeads {
		t.Errorf("%d messages are kept, want %d", l.c.n, maxOpenHeads)
	}
	if n := heap() - before; n > 32<<20 {
		t.Errorf("%d octets are kept", n)
	}
	runtime.KeepAlive(l)
	l.c.Close()
	if l.c.n != 0 {
		t.Errorf("%d messages are kept behind Close", l.c.n)
	}
}

// No octets of content make a decoder panic, or give more than may be.
func FuzzContent(f *testing.F) {
	for i, coding := range []string{"gzip", "br", "zstd", "deflate", "raw"} {
		f.Add(byte(i), encode(coding, []byte("text that was sent")))
		f.Add(byte(i), encode(coding, make([]byte, 10_000)))
	}
	f.Add(byte(6), []byte(framed(1, string(encode("gzip", []byte("hello"))))+framed(0, "a")))
	codings := []string{"gzip", "br", "zstd", "deflate", "gzip, br", "br, zstd", "grpc"}
	f.Fuzz(func(t *testing.T, n byte, p []byte) {
		const most = 1 << 16
		c := ContentDecoder{MaxDecoded: most, Handler: func(c *Content) {
			if len(c.Octets) > max(most, len(p)) {
				t.Errorf("%d octets", len(c.Octets))
			}
			n := 0
			for i := range c.Messages {
				n += len(c.Messages[i].Octets)
			}
			if n > most+len(p) {
				t.Errorf("%d octets of messages", n)
			}
		}}
		fields := []Field{{Name: "content-encoding", Value: codings[int(n)%len(codings)]}}
		if fields[0].Value == "grpc" {
			fields = []Field{{Name: "content-type", Value: "application/grpc"}, {Name: "grpc-encoding", Value: "gzip"}}
		}
		c.Event(&Message{Line: "HTTP/1.1 200 OK", Fields: fields})
		c.Event(&Body{Octets: p, End: true})
	})
}
