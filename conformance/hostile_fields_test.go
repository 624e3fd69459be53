package conformance

import (
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// malformed requests (RFC 9113 §8.1.1): what each does to a server behind a gateway is request
// smuggling, header injection or a way around access rules.
var malformed = []struct {
	name   string
	fields []hpack.HeaderField
	body   string // sent as DATA with END_STREAM; without it, HEADERS carry END_STREAM
}{
	{name: "upper-case name", fields: get("X-Upper", "v")},
	{name: "empty name and value (CVE-2019-9516)", fields: get("", "")},
	{name: "empty name", fields: get("", "v")},
	{name: "colon in name", fields: get("x:y", "v")},
	{name: "space in name", fields: get("x y", "v")},
	{name: "NUL in name", fields: get("x\x00y", "v")},
	{name: "CR LF in name", fields: get("x\r\ny", "v")},
	{name: "high octet in name", fields: get("x\xff", "v")},
	{name: "NUL in value", fields: get("x", "a\x00b")},
	{name: "CR in value", fields: get("x", "a\rb")},
	{name: "LF in value", fields: get("x", "a\nb")},
	{name: "CR LF and a field in value", fields: get("x", "a\r\nhost: evil.test")},
	{name: "space before value", fields: get("x", " a")},
	{name: "tab before value", fields: get("x", "\ta")},
	{name: "space after value", fields: get("x", "a ")},
	{name: "tab after value", fields: get("x", "a\t")},
	{name: "pseudo-field after a field", fields: h2test.Fields(
		":method: GET", ":scheme: http", "x: y", ":authority: example.test", ":path: /",
	)},
	{name: "repeated pseudo-field", fields: h2test.Fields(
		":method: GET", ":scheme: http", ":authority: example.test", ":path: /", ":path: /admin",
	)},
	{name: "unknown pseudo-field", fields: get(":smuggle", "v")},
	{name: "response pseudo-field", fields: get(":status", "200")},
	{name: "no method", fields: h2test.Fields(":scheme: http", ":authority: example.test", ":path: /")},
	{name: "no scheme", fields: h2test.Fields(":method: GET", ":authority: example.test", ":path: /")},
	{name: "no path", fields: h2test.Fields(":method: GET", ":scheme: http", ":authority: example.test")},
	{name: "empty path", fields: with(":path", "")},
	{name: "path without slash (CVE-2026-33186)", fields: with(":path", "a/b")},
	{name: "absolute URL in path", fields: with(":path", "http://evil.test/")},
	{name: "asterisk without OPTIONS", fields: with(":path", "*")},
	{name: "space in path", fields: with(":path", "/a b")},
	{name: "CR LF in path", fields: with(":path", "/ HTTP/1.1\r\nhost: evil.test\r\n")},
	{name: "NUL in path", fields: with(":path", "/\x00")},
	{name: "space in method", fields: with(":method", "GET /admin HTTP/1.1")},
	{name: "empty method", fields: with(":method", "")},
	{name: "CR LF in method", fields: with(":method", "GET\r\nx: y")},
	{name: "CR LF in scheme", fields: with(":scheme", "http\r\nx: y")},
	{name: "space in scheme", fields: with(":scheme", "http x")},
	{name: "slash in authority", fields: with(":authority", "example.test/admin")},
	{name: "space in authority", fields: with(":authority", "example.test evil.test")},
	{name: "CR LF in authority", fields: with(":authority", "a\r\nx: y:443")},
	{name: "user in authority", fields: with(":authority", "user@example.test")},
	{name: "host differs from authority", fields: get("host", "evil.test")},
	{name: "two hosts", fields: h2test.Fields(
		":method: GET", ":scheme: http", ":path: /", "host: example.test", "host: evil.test",
	)},
	{name: "slash in host", fields: h2test.Fields(
		":method: GET", ":scheme: http", ":path: /", "host: example.test/admin",
	)},
	{name: "connection", fields: get("connection", "close")},
	{name: "keep-alive", fields: get("keep-alive", "timeout=5")},
	{name: "proxy-connection", fields: get("proxy-connection", "close")},
	{name: "transfer-encoding", fields: post("transfer-encoding", "chunked"), body: "0\r\n\r\n"},
	{name: "upgrade", fields: get("upgrade", "websocket")},
	{name: "te other than trailers", fields: get("te", "gzip")},
	{name: "te with trailers and more", fields: get("te", "trailers, gzip")},
	{name: "content-length above the body", fields: post("content-length", "6"), body: "small"},
	{name: "content-length below the body", fields: post("content-length", "4"), body: "small"},
	{name: "content-length without a body", fields: get("content-length", "5")},
	{name: "content-length that is no number", fields: post("content-length", "5a"), body: "small"},
	{name: "content-length with sign", fields: post("content-length", "+5"), body: "small"},
	{name: "content-length of 2^64", fields: post("content-length", "18446744073709551621"), body: "small"},
	{name: "empty content-length", fields: post("content-length", ""), body: "small"},
	{name: "list in content-length", fields: post("content-length", "5, 6"), body: "small"},
	{
		name:   "two content-lengths",
		fields: append(post("content-length", "5"), h2test.Field("content-length", "6")),
		body:   "small",
	},
	{name: "CONNECT with a path", fields: h2test.Fields(
		":method: CONNECT", ":authority: example.test:443", ":path: /", ":scheme: http",
	)},
	{name: "CONNECT without authority", fields: h2test.Fields(":method: CONNECT")},
	{name: "extended CONNECT, which was not offered", fields: h2test.Fields(
		":method: CONNECT", ":protocol: websocket", ":scheme: http", ":authority: example.test", ":path: /",
	)},
}

// get returns a good GET request with one more field.
func get(name, value string) []hpack.HeaderField {
	return append(with("", ""), h2test.Field(name, value))
}

// post returns a good POST request with one more field.
func post(name, value string) []hpack.HeaderField {
	return append(with(":method", "POST"), h2test.Field(name, value))
}

// with returns a good GET request in which one pseudo-field has another value.
func with(name, value string) []hpack.HeaderField {
	fields := h2test.Fields(":method: GET", ":scheme: http", ":authority: example.test", ":path: /")
	for i := range fields {
		if fields[i].Name == name {
			fields[i].Value = value
		}
	}
	return fields
}

// A malformed request ends with RST_STREAM PROTOCOL_ERROR, a 4xx may go before it, and no handler
// sees it; or the connection ends with the same code.
func TestHostileMalformedRequests(t *testing.T) {
	ls, g := startGate(t)
	for _, tt := range malformed {
		t.Run(tt.name, func(t *testing.T) {
			started := g.started.Load()
			p := dialRaw(t, ls).greet()
			p.headers(1, tt.body == "", tt.fields...)
			if tt.body != "" {
				p.add(frame.Data{StreamID: 1, EndStream: true, Data: []byte(tt.body)})
			}
			p.mustFlush()
			var code frame.Code
			for done := false; !done; {
				f, err := p.next()
				if err != nil {
					t.Fatalf("the connection ended without RST_STREAM or GOAWAY: %v", err)
				}
				switch f := f.(type) {
				case frame.RSTStream:
					code, done = f.Code, true
				case frame.GoAway:
					code, done = f.Code, true
				case frame.Headers:
					if s := p.status(f); s[0] != '4' {
						t.Fatalf("the request was answered with %s", s)
					}
				}
			}
			if code != frame.ProtocolError {
				t.Errorf("the stream or connection ended with %v, want PROTOCOL_ERROR", code)
			}
			// A body that is too short or too long only shows when the handler may have begun to
			// read it.
			if lateBody := len(tt.body) > 0 && tt.fields[4].Name == "content-length"; !lateBody {
				if n := g.started.Load() - started; n > 0 {
					t.Errorf("the request reached the handler")
				}
			}
		})
	}
	wantAlive(t, ls)
}

// Next to the malformed: requests that look odd and are good. They are served.
func TestHostileOddRequests(t *testing.T) {
	tests := []struct {
		name   string
		fields []hpack.HeaderField
	}{
		{
			"host instead of authority",
			h2test.Fields(":method: GET", ":scheme: http", ":path: /", "host: example.test"),
		},
		{"host equal to authority", get("host", "example.test")},
		{"te: trailers", get("te", "trailers")},
		{"asterisk with OPTIONS", append(with(":method", "OPTIONS")[:3], h2test.Field(":path", "*"))},
		{"empty value", get("x", "")},
		{"value with inner space, tab and high octets", get("x", "a \t\x80\xff b")},
		{"name of all token characters", get("!#$%&'*+-.^_`|~09az", "v")},
		{"unregistered method", with(":method", "BREW")},
		{"content-length: 0", get("content-length", "0")},
		{"path with query and escapes", with(":path", "/a%20b?c=d%2F&e=*")},
		{"authority in brackets with port", with(":authority", "[::1]:8443")},
	}
	ls, _ := startGate(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := dialRaw(t, ls).greet().headers(1, true, tt.fields...)
			p.mustFlush()
			p.until("a response", func(f frame.Frame) bool {
				if r, ok := f.(frame.RSTStream); ok {
					t.Fatalf("the request was refused: %v", r)
				}
				h, ok := f.(frame.Headers)
				if ok {
					if s := p.status(h); s != "200" {
						t.Errorf("the request was answered with %s, want 200", s)
					}
				}
				return ok
			})
		})
	}
}
