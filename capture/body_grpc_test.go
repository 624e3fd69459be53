package capture

import (
	stdcmp "cmp"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// framed is a message of gRPC with its prefix.
func framed(flags byte, p string) string {
	n := len(p)
	return string([]byte{flags, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + p
}

func TestContentMessages(t *testing.T) {
	gzipped, zeros := string(encode("gzip", []byte("hello"))), string(encode("gzip", make([]byte, 100)))
	const (
		cut  = ": the message was cut off"
		many = ": the messages become longer than 9 octets: the rest is not decoded"
	)
	hello := fmt.Sprintf(`%d compressed "hello"`, len(gzipped))
	for _, tt := range []struct {
		name, fields, octets string
		open                 bool // the content does not end
		most                 int64
		want                 []string
	}{
		{
			"plain", "application/grpc", framed(0, "ab") + framed(0, "") + framed(0, "c"), false, 0,
			[]string{`2 "ab"`, `0 ""`, `1 "c"`},
		},
		{
			"compressed", "application/grpc+proto, grpc-encoding: gzip",
			framed(1, gzipped) + framed(0, "x") + framed(1, gzipped), false, 0,
			[]string{hello, `1 "x"`, hello},
		},
		{
			"zstd", "application/grpc, grpc-encoding: zstd", framed(1, string(encode("zstd", []byte("hello")))), false, 0,
			[]string{`18 compressed "hello"`},
		},
		{
			"an unknown coding", "application/grpc, grpc-encoding: snappy", framed(1, "ab") + framed(0, "c"), false, 0,
			[]string{`2 compressed "": the coding "snappy" is not known`, `1 "c"`},
		},
		{"no coding", "application/grpc", framed(1, "ab"), false, 0, []string{`2 compressed "": ` + errNoCoding.Error()}},
		{
			"no gzip", "application/grpc, grpc-encoding: gzip", framed(1, "ab"), false, 0,
			[]string{`2 compressed "": the message is not valid gzip: unexpected EOF`},
		},
		{
			"cut in a message", "application/grpc", framed(0, "ab") + framed(0, "cde")[:7], true, 0,
			[]string{`2 "ab"`, `2 "cd"` + cut},
		},
		{"cut in a prefix", "application/grpc", framed(0, "ab") + "\x00\x00", true, 0, []string{`2 "ab"`, `0 ""` + cut}},
		{
			"cut where it is compressed", "application/grpc, grpc-encoding: gzip", framed(1, zeros)[:8], true, 0,
			[]string{`3 compressed ""` + cut},
		},
		{
			"above the limit", "application/grpc, grpc-encoding: gzip",
			framed(1, gzipped) + framed(1, zeros) + framed(1, gzipped), false, 9,
			[]string{
				hello, fmt.Sprintf(`%d compressed "\x00\x00\x00\x00"`, len(zeros)) + many,
				fmt.Sprintf(`%d compressed ""`, len(gzipped)) + many,
			},
		},
		{
			"gRPC-Web", "application/grpc-web+proto", framed(0, "ab") + framed(0x80, "grpc-status: 0\r\n"), false, 0,
			[]string{`2 "ab"`},
		},
		{"gRPC-Web in base64", "application/grpc-web-text", "AAAAAAA=", false, 0, nil},
		{"with a content coding", "application/grpc, content-encoding: gzip", gzipped, false, 0, nil},
		{"something else", "application/grpcish", framed(0, "ab"), false, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newContentLog()
			l.c.MaxDecoded = tt.most
			var got []string
			l.c.Handler = func(c *Content) {
				for i := range c.Messages {
					got = append(got, messageText(&c.Messages[i]))
				}
			}
			l.head(1, strings.Split("content-type: "+tt.fields, ", ")...)
			l.body(1, []byte(tt.octets), !tt.open)
			l.c.Close()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func messageText(m *GRPCMessage) string {
	s := fmt.Sprint(m.Sent)
	if m.Compressed {
		s += " compressed"
	}
	s += fmt.Sprintf(" %q", m.Octets)
	if m.Err != nil {
		s += ": " + m.Err.Error()
	}
	return s
}

// A content with a million messages has the first thousand, and says so.
func TestContentManyMessages(t *testing.T) {
	l := newContentLog()
	n := 0
	l.c.Handler = func(c *Content) {
		if n = len(c.Messages); c.Err != errManyMessages {
			t.Error(c.Err)
		}
	}
	l.head(1, "content-type: application/grpc")
	l.body(1, make([]byte, 1<<20), true)
	if n != maxMessageSizes {
		t.Errorf("%d messages, want %d", n, maxMessageSizes)
	}
}

// Messages stand in the form of HTTP/1.1 one by one.
func TestMessagesAsHTTP1(t *testing.T) {
	var b strings.Builder
	r := &Request{Method: "POST", Path: "/p.S/M", Body: [2]int64{20, 0}}
	content := &Content{Octets: []byte("raw"), Messages: []GRPCMessage{
		{Compressed: true, Sent: 9, Octets: []byte("hello")}, {Octets: []byte{0, 1}, Sent: 2, Err: errContentCut},
	}}
	if err := r.WriteHTTP1(&b, [2]*Content{content, nil}); err != nil {
		t.Fatal(err)
	}
	const want = "[message 1: 5 octets, sent as 9 that are compressed]\nhello\n[message 2: 2 octets]\n" +
		"[the message ends here: the message was cut off]\n\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("it lacks\n%s:\n%s", want, &b)
	}
}

// Messages that need much memory and give little, or come behind the limit of what is decoded, are
// not decoded one after another.
func TestContentMessageBombs(t *testing.T) {
	// 1 MiB of zeros, and their first octets, which say how large the window is.
	br, zst := string(encode("br", make([]byte, 1<<20))), string(encode("zstd", make([]byte, 1<<20)))
	for _, tt := range []struct {
		coding, message string
		most            int64
		why             string
		decoders        int // that are opened
	}{
		{"br", br, 1000, "longer than 1000 octets", 1},
		{"br", br[:4], 0, "windows of more than", maxMessageWindows / brotliWindow},
		{"zstd", zst, 1000, "longer than 1000 octets", 1},
	} {
		d := messageDecoder{coding: tt.coding, most: stdcmp.Or(tt.most, 1<<20)}
		var out []byte
		bounded := 0
		for range 200 {
			var err error
			if out, err = d.read(out, []byte(tt.message)); err != nil && strings.Contains(err.Error(), tt.why) {
				bounded++
			}
		}
		if tt.most == 0 && bounded != 200-tt.decoders {
			t.Errorf("%s: %d messages are not decoded, want %d", tt.coding, bounded, 200-tt.decoders)
		}
		if tt.most > 0 && (bounded != 200 || d.windows > tt.decoders*brotliWindow || int64(len(out)) > tt.most) {
			t.Errorf("%s: %d messages are not decoded, windows %d, %d octets", tt.coding, bounded, d.windows, len(out))
		}
	}
}
