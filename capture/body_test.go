package capture

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// encode applies a coding.
func encode(coding string, p []byte) []byte {
	var b bytes.Buffer
	var w io.WriteCloser
	switch coding {
	case "gzip", "x-gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, -1)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		return p
	}
	_, _ = w.Write(p)
	_ = w.Close()
	return b.Bytes()
}

// contentLog is what a ContentDecoder delivers, each in one line.
type contentLog struct {
	c     ContentDecoder
	lines []string
}

func newContentLog() *contentLog {
	l := &contentLog{}
	l.c.Handler = func(c *Content) {
		s := strconv.Itoa(int(c.Stream)) + " " + c.Dir.String() + " " + strconv.Quote(string(c.Octets))
		if len(c.Octets) > 50 {
			s = strconv.Itoa(int(c.Stream)) + " " + c.Dir.String() + " " + strconv.Itoa(len(c.Octets)) + " octets"
		}
		for _, coding := range c.Codings {
			s += " " + coding
		}
		if c.Type != "" {
			s += " (" + c.Type + ")"
		}
		if c.Err != nil {
			s += ": " + c.Err.Error()
		}
		l.lines = append(l.lines, s)
	}
	return l
}

// head is the header section of a response.
func (l *contentLog) head(stream uint32, fields ...string) {
	f := &Frame{Conn: 1, Dir: Server, Fields: []Field{{Name: ":status", Value: "200"}}}
	f.Header.StreamID = stream
	for _, s := range fields {
		name, value, _ := strings.Cut(s, ": ")
		f.Fields = append(f.Fields, Field{Name: name, Value: value})
	}
	l.c.Event(f)
}

func (l *contentLog) body(stream uint32, p []byte, end bool) {
	l.c.Event(&Body{Conn: 1, Stream: stream, Dir: Server, Octets: p, End: end})
}

func TestContentCodings(t *testing.T) {
	text := []byte("text that was sent\n")
	long := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	for _, tt := range []struct {
		name, fields string
		octets       []byte
		want         string
	}{
		{"none", "", text, `1 server "text that was sent\n"`},
		{"identity", "content-encoding: identity", text, `1 server "text that was sent\n"`},
		{"gzip", "content-encoding: gzip", encode("gzip", text), `1 server "text that was sent\n" gzip`},
		{"GZip", "Content-Encoding: GZip", encode("gzip", text), `1 server "text that was sent\n" gzip`},
		{"zlib", "content-encoding: deflate", encode("deflate", text), `1 server "text that was sent\n" deflate`},
		{"raw", "content-encoding: deflate", encode("raw", text), `1 server "text that was sent\n" deflate`},
		{"br", "content-encoding: br", encode("br", text), `1 server "text that was sent\n" br`},
		{"zstd", "content-encoding: zstd", encode("zstd", text), `1 server "text that was sent\n" zstd`},
		{"long zstd", "content-encoding: zstd", encode("zstd", long), `1 server 160000 octets zstd`},
		{
			"several", "content-encoding: gzip, br\ncontent-encoding: zstd\ntransfer-encoding: deflate, chunked",
			encode("deflate", encode("zstd", encode("br", encode("gzip", text)))),
			`1 server "text that was sent\n" gzip br zstd deflate`,
		},
		{
			"two members", "content-encoding: gzip", append(encode("gzip", text), encode("gzip", text)...),
			`1 server "text that was sent\ntext that was sent\n" gzip`,
		},
		{"unknown", "content-encoding: dcb", text, `1 server "text that was sent\n": the coding "dcb" is not known`},
		{
			"unknown within", "content-encoding: dcb, gzip", encode("gzip", text),
			`1 server "text that was sent\n" gzip: the coding "dcb" is not known`,
		},
		{
			"not gzip", "content-encoding: gzip", text,
			`1 server "text that was sent\n": the content is not valid gzip: gzip: invalid header`,
		},
		{
			"junk behind", "content-encoding: gzip", append(encode("gzip", text), "junk and more"...),
			`1 server "text that was sent\n" gzip: the content is not valid gzip: gzip: invalid header`,
		},
		{
			"a wrong checksum", "content-encoding: gzip", append(encode("gzip", text)[:39], make([]byte, 8)...),
			`1 server "text that was sent\n" gzip: the content is not valid gzip: gzip: invalid checksum`,
		},
		{
			"too many", "content-encoding: a,b,c,d,e,f,g,h,i", text,
			`1 server "text that was sent\n": the content has more than 8 codings`,
		},
		{"empty", "content-encoding: gzip", nil, `1 server ""`},
		{"type", "content-type: text/plain", text, `1 server "text that was sent\n" (text/plain)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newContentLog()
			l.head(1, strings.Split(tt.fields, "\n")...)
			l.body(1, tt.octets, false)
			l.body(1, nil, true)
			if diff := cmp.Diff([]string{tt.want}, l.lines); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Messages whose pieces come by turns are decoded each for itself.
func TestContentInterleaved(t *testing.T) {
	codings := []string{"gzip", "br", "zstd", "deflate", ""}
	var want []string
	var parts [][]byte
	l := newContentLog()
	for i, coding := range codings {
		p := bytes.Repeat([]byte{byte('a' + i), '\n'}, 3000+i)
		parts = append(parts, encode(coding, p))
		l.head(uint32(2*i+1), "content-encoding: "+coding)
		s := strconv.Itoa(2*i+1) + " server " + strconv.Itoa(len(p)) + " octets"
		want = append(want, strings.TrimSuffix(s+" "+coding, " "))
	}
	for at := 0; at < 7000; at++ {
		for i, p := range parts {
			if at < len(p) {
				l.body(uint32(2*i+1), p[at:at+1], false)
			}
		}
	}
	for i := range parts {
		l.body(uint32(2*i+1), nil, true)
	}
	if diff := cmp.Diff(want, l.lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
