package capture

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
)

// fieldsOf makes fields of lines.
func fieldsOf(lines ...string) []Field {
	var list []Field
	for _, l := range lines {
		i := strings.Index(l[1:], ":") + 1
		list = append(list, Field{Name: l[:i], Value: strings.TrimPrefix(l[i+1:], " ")})
	}
	return list
}

func TestWriteHTTP1(t *testing.T) {
	for _, tt := range []struct {
		name    string
		r       Request
		content [2]*Content
		want    string
	}{
		{
			"a request with interim response, cookies and trailers",
			Request{
				Version: "HTTP/2", Method: "POST", Path: "/a?b", Authority: "example.com", Status: 404,
				Fields: [2][]Field{
					fieldsOf(
						":method: POST", ":path: /a?b", ":authority: example.com", "accept: */*", "cookie: a=b", "x: y", "cookie: c=d",
						"host: example.com",
					),
					fieldsOf(":status: 404", "content-type: text/plain"),
				},
				Trailers: [2][]Field{nil, fieldsOf("t: u")},
				Interim:  []Interim{{Status: 103, Fields: fieldsOf(":status: 103", "link: x")}},
				Body:     [2]int64{4, 9}, Complete: true,
			},
			[2]*Content{nil, {Octets: []byte("not found"), Codings: []string{"gzip"}, Sent: 29}},
			`POST /a?b HTTP/1.1
host: example.com
accept: */*
cookie: a=b; c=d
x: y

[4 octets of content]

HTTP/1.1 103 Early Hints
link: x

HTTP/1.1 404 Not Found
content-type: text/plain

not found
[sent as 29 octets with gzip]

[trailers]
t: u

`,
		},
		{
			"of HTTP/1.0",
			Request{
				Version: "HTTP/1.0", Method: "GET", Path: "/", Status: 200, Reason: "Fine", Complete: true,
				Fields: [2][]Field{fieldsOf("Host: a"), fieldsOf("Server: b")},
			},
			[2]*Content{},
			"GET / HTTP/1.0\nHost: a\n\nHTTP/1.0 200 Fine\nServer: b\n\n",
		},
		{
			"CONNECT, reset",
			Request{
				Version: "HTTP/2", Method: "CONNECT", Authority: "a:443", Fields: [2][]Field{fieldsOf(":authority: a:443")},
				ResetBy: "server", ResetCode: frame.ConnectError, Lossy: true, Problem: "a problem",
			},
			[2]*Content{},
			"CONNECT a:443 HTTP/1.1\nhost: a:443\n\n[no response was seen]\n[reset by the server: CONNECT_ERROR]\n" +
				"[octets were lost while it was open: parts may be missing]\n[a problem]\n",
		},
		{
			"extended CONNECT, open",
			Request{
				Version: "HTTP/2", Method: "CONNECT", Path: "/c", Protocol: "websocket", Status: 200,
			},
			[2]*Content{},
			"CONNECT /c HTTP/1.1\n[:protocol websocket (RFC 8441)]\n\nHTTP/1.1 200 OK\n\n[not complete]\n",
		},
		{
			"what cannot be known",
			Request{
				Version: "HTTP/2", Method: "GET", Pushed: true, Parent: 1, GoAway: true, Body: [2]int64{0, 3},
				Fields: [2][]Field{{
					{State: UnknownField, Index: 70}, {Name: "a", Value: "b", State: Tainted},
				}},
			},
			[2]*Content{nil, {Octets: []byte("\x00ab"), Err: errors.New("cut")}},
			`[pushed by the server on stream 1]
GET ? HTTP/1.1
[a field that is not known: index 70 of the table, which the capture has no beginning of]
a: b
[octets were lost before the last field: it may be another one]

[3 octets of content that is no text]
[the content ends here: cut]

[not processed, as GOAWAY says]
`,
		},
		{
			"a call of gRPC without its beginning",
			Request{
				StartMissing: true, Complete: true, Status: 200, GRPC: &GRPC{Status: 5, Message: "none\x1b[2J"},
			},
			[2]*Content{},
			"[the request was not seen]\nHTTP/1.1 200 OK\n\n[gRPC status 5 none\\x1b[2J]\n",
		},
		{
			"what would do harm",
			Request{
				Method: "GET", Path: "/\r\nX: y", Status: 200, Complete: true, Body: [2]int64{0, 9},
				Fields: [2][]Field{
					fieldsOf("a: \x1b]0;title\x07", "b\u202e: \xff\u009b", "c: ü"), fieldsOf("d: 1\r\n\r\n<html>"),
				},
			},
			[2]*Content{nil, {Octets: []byte("x\x1b[2J\r\n\ty\rz\u202e")}},
			`GET /\x0d\x0aX: y HTTP/1.1
a: \x1b]0;title\x07
b\u202e: \xff\u009b
c: ü

HTTP/1.1 200 OK
d: 1\x0d\x0a\x0d\x0a<html>

x\x1b[2J
	y\x0dz\u202e

`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := tt.r.WriteHTTP1(&b, tt.content); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWriteHTTP1Error(t *testing.T) {
	err := (&Request{}).WriteHTTP1(failingWriter{}, [2]*Content{})
	if !errors.Is(err, errFails) {
		t.Errorf("error %v, want that of the Writer", err)
	}
}

var errFails = errors.New("fails")

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFails }
