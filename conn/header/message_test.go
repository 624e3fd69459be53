package header

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/http2/hpack"
)

// lines makes fields of "name: value" strings. Spaces count, but for the one behind the colon of a
// regular field.
func lines(ss ...string) []Field {
	fields := make([]Field, 0, len(ss))
	for _, s := range ss {
		i := strings.Index(s[1:], ": ") + 1
		fields = append(fields, Field{Name: s[:i], Value: s[i+2:]})
	}
	return fields
}

// xnetBlock encodes fields with x/net's encoder.
func xnetBlock(t testing.TB, fields []Field) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range fields {
		if err := enc.WriteField(f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// decodeOnce decodes one block with a fresh decoder of generous limits.
func decodeOnce(t testing.TB, block []byte) *Message {
	t.Helper()
	d := NewDecoder(4096, 1<<20, 1000)
	m := new(Message)
	if err := d.Decode(block, m); err != nil {
		t.Fatal(err)
	}
	return m
}

const (
	get   = ":method: GET"
	https = ":scheme: https"
	root  = ":path: /"
	host  = ":authority: example.com"
	ok200 = ":status: 200"
)

// head is a valid request with more.
func head(more ...string) []Field { return lines(append([]string{get, https, host, root}, more...)...) }

func TestRequestMalformed(t *testing.T) {
	tests := []struct {
		name   string
		fields []Field
		fault  fault
	}{
		// RFC 9113 §8.2.1
		{"uppercase name", head("X-Test: 1"), faultUpperName},
		{"uppercase within a name", head("x-Test: 1"), faultUpperName},
		{"empty name", append(head(), Field{Name: "", Value: "1"}), faultEmptyName},
		{"empty name and value", append(head(), Field{}), faultEmptyName},
		{"colon within a name", head("x:y: 1"), faultName},
		{"colon behind a name", append(head(), Field{Name: "x:", Value: "1"}), faultName},
		{"space in a name", head("x y: 1"), faultName},
		{"CRLF in a name", head("x\r\ny: 1"), faultName},
		{"NUL in a name", head("x\x00: 1"), faultName},
		{"DEL in a name", head("x\x7f: 1"), faultName},
		{"octet over 0x7f in a name", head("x\xc3\xa9: 1"), faultName},
		{"parenthesis in a name", head("x(y): 1"), faultName},
		{"NUL in a value", head("x: a\x00b"), faultValue},
		{"CR in a value", head("x: a\rb"), faultValue},
		{"LF in a value", head("x: a\nb"), faultValue},
		{"CRLF in a long value", head("x: 0123456789\r\nevil: 1"), faultValue},
		{"DEL in a value", head("x: 01234567\x7f"), faultValue},
		{"ESC in a value", head("x: 0123\x1b4567"), faultValue},
		{"space before a value", head("x:  a"), faultValueSpace},
		{"space behind a value", head("x: a "), faultValueSpace},
		{"tab before a value", head("x: \ta"), faultValueSpace},
		{"tab behind a value", head("x: a\t"), faultValueSpace},
		{"value of one space", head("x:  "), faultValueSpace},

		// RFC 9113 §8.2.2
		{"connection", head("connection: keep-alive"), faultConnectionSpecific},
		{"connection: close", head("connection: close"), faultConnectionSpecific},
		{"proxy-connection", head("proxy-connection: keep-alive"), faultConnectionSpecific},
		{"keep-alive", head("keep-alive: timeout=5"), faultConnectionSpecific},
		{"transfer-encoding", head("transfer-encoding: chunked"), faultConnectionSpecific},
		{"upgrade", head("upgrade: h2c"), faultConnectionSpecific},
		{"te other than trailers", head("te: gzip"), faultTE},
		{"te with more than trailers", head("te: trailers, deflate;q=0.5"), faultTE},
		{"te empty", head("te: "), faultTE},

		// RFC 9113 §8.3
		{"unknown pseudo", lines(get, https, host, root, ":x: 1"), faultUnknownPseudo},
		{"pseudo with two colons", lines(get, https, host, root, "::path: /"), faultUnknownPseudo},
		{"only a colon", lines(get, https, host, root, ":: 1"), faultUnknownPseudo},
		{"uppercase pseudo", lines(":Method: GET", https, host, root), faultUnknownPseudo},
		{"response pseudo", lines(get, https, host, root, ok200), faultResponsePseudo},
		{"pseudo after regular", lines(get, https, host, "x: 1", root), faultLatePseudo},
		{"pseudo after cookie", lines(get, https, host, "cookie: a=b", root), faultLatePseudo},
		{"duplicate method", lines(get, get, https, host, root), faultDuplicatePseudo},
		{"duplicate scheme", lines(get, https, https, host, root), faultDuplicatePseudo},
		{"duplicate path", lines(get, https, host, root, ":path: /b"), faultDuplicatePseudo},
		{"duplicate authority", lines(get, https, host, host, root), faultDuplicatePseudo},
		{"no method", lines(https, host, root), faultNoMethod},
		{"no scheme", lines(get, host, root), faultNoScheme},
		{"no path", lines(get, https, host), faultNoPath},
		{"no authority", lines(get, https, root), faultNone},
		{"nothing", nil, faultNoMethod},
		{"only regular fields", lines("x: 1"), faultNoMethod},

		// values of pseudo-header fields
		{"empty method", lines(":method: ", https, host, root), faultMethod},
		{"space in method", lines(":method: GET /admin", https, host, root), faultMethod},
		{"method not a token", lines(":method: G(T", https, host, root), faultMethod},
		{"CRLF in method", lines(":method: GET\r\nx", https, host, root), faultValue},
		{"empty scheme", lines(get, ":scheme: ", host, root), faultScheme},
		{"scheme with slash", lines(get, ":scheme: http://x/?", host, root), faultScheme},
		{"scheme begins with digit", lines(get, ":scheme: 1http", host, root), faultScheme},
		{"empty path", lines(get, https, host, ":path: "), faultPath},
		{"path without slash", lines(get, https, host, ":path: a/b"), faultPath},
		{"absolute URL in path", lines(get, https, host, ":path: https://example.com/"), faultPath},
		{"asterisk for GET", lines(get, https, host, ":path: *"), faultPath},
		{"asterisk and more", lines(":method: OPTIONS", https, host, ":path: */"), faultPath},
		{"space in path", lines(get, https, host, ":path: /a b"), faultPath},
		{"space behind path", lines(get, https, host, ":path: /a "), faultValueSpace},
		{"fragment in path", lines(get, https, host, ":path: /a#b"), faultPath},
		{"tab in path", lines(get, https, host, ":path: /a\tb"), faultPath},
		{"LF in path", lines(get, https, host, ":path: /a\nb"), faultValue},
		{"empty authority", lines(get, https, ":authority: ", root), faultAuthority},
		{"userinfo in authority", lines(get, https, ":authority: u:p@example.com", root), faultAuthority},
		{"slash in authority", lines(get, https, ":authority: example.com/x", root), faultAuthority},
		{"space in authority", lines(get, https, ":authority: example.com x", root), faultAuthority},
		{"fragment in authority", lines(get, https, ":authority: example.com#", root), faultAuthority},
		{"query in authority", lines(get, https, ":authority: example.com?", root), faultAuthority},
		{"backslash in authority", lines(get, https, `:authority: example.com\x`, root), faultAuthority},
		{"CRLF in authority", lines(get, https, ":authority: a\r\nx: y:443", root), faultValue},
		{"port without host", lines(get, https, ":authority: :443", root), faultAuthority},
		{"port not a number", lines(get, https, ":authority: example.com:http", root), faultAuthority},
		{"two ports", lines(get, https, ":authority: example.com:1:2", root), faultAuthority},
		{"bare IPv6 address", lines(get, https, ":authority: ::1", root), faultAuthority},
		{"bracket never closed", lines(get, https, ":authority: [::1", root), faultAuthority},
		{"empty brackets", lines(get, https, ":authority: []", root), faultAuthority},
		{"text behind bracket", lines(get, https, ":authority: [::1]x", root), faultAuthority},
		{"nested brackets", lines(get, https, ":authority: [[::1]]", root), faultAuthority},
		{"not ASCII", lines(get, https, ":authority: ex\xc3\xa4mple.com", root), faultAuthority},

		// host (RFC 9113 §8.3.1, RFC 9110 §7.2)
		{"host differs", head("host: example.org"), faultHostMismatch},
		{"port of host differs", head("host: example.com:444"), faultHostMismatch},
		{"default port of the other scheme", head("host: example.com:80"), faultHostMismatch},
		{"host empty", head("host: "), faultHost},
		{"host with slash", head("host: example.com/x"), faultHost},
		{"host with space", head("host: example.com x"), faultHost},
		{"host with userinfo", head("host: a@example.com"), faultHost},
		{"host with slash, alone", lines(get, https, root, "host: example.com/x"), faultHost},
		{"host empty, alone", lines(get, https, root, "host: "), faultNone},
		{"two hosts", head("host: example.com", "host: example.com"), faultDuplicateHost},
		{"three hosts", head("host: example.com", "host: example.com", "host: x"), faultDuplicateHost},
		{"two hosts, alone", lines(get, https, root, "host: a", "host: b"), faultDuplicateHost},

		// content-length (RFC 9110 §8.6)
		{"two content-lengths", head("content-length: 5", "content-length: 6"), faultDuplicateContentLength},
		{"content-length twice", head("content-length: 5", "content-length: 5"), faultDuplicateContentLength},
		{"content-length empty", head("content-length: "), faultContentLength},
		{"content-length +5", head("content-length: +5"), faultContentLength},
		{"content-length -5", head("content-length: -5"), faultContentLength},
		{"content-length 0x5", head("content-length: 0x5"), faultContentLength},
		{"content-length 5, 5", head("content-length: 5, 5"), faultContentLength},
		{"content-length 5.0", head("content-length: 5.0"), faultContentLength},
		{"content-length 1e3", head("content-length: 1e3"), faultContentLength},
		{"content-length 5 5", head("content-length: 5 5"), faultContentLength},
		{"content-length with space", head("content-length:  5"), faultValueSpace},
		{"content-length 2^63", head("content-length: 9223372036854775808"), faultContentLength},
		{"content-length 2^64+1", head("content-length: 18446744073709551617"), faultContentLength},
		{"content-length of 40 digits", head("content-length: " + strings.Repeat("9", 40)), faultContentLength},

		// CONNECT (RFC 9113 §8.5)
		{"CONNECT with scheme", lines(":method: CONNECT", https, ":authority: a:443"), faultConnectPseudo},
		{"CONNECT with path", lines(":method: CONNECT", ":authority: a:443", root), faultConnectPseudo},
		{"CONNECT without authority", lines(":method: CONNECT"), faultNoAuthority},
		{"CONNECT without port", lines(":method: CONNECT", ":authority: a"), faultConnectPort},
		{"CONNECT with empty port", lines(":method: CONNECT", ":authority: a:"), faultConnectPort},
		{"CONNECT, IPv6 without port", lines(":method: CONNECT", ":authority: [::1]"), faultConnectPort},
		{"CONNECT with userinfo", lines(":method: CONNECT", ":authority: u@a:443"), faultAuthority},
		{"CONNECT, host differs", lines(":method: CONNECT", ":authority: a:443", "host: b:443"), faultHostMismatch},
		{"CONNECT with host alone", lines(":method: CONNECT", "host: a:443"), faultNoAuthority},
		{"lowercase connect is a method like any other", lines(":method: connect", ":authority: a:1"), faultNoScheme},

		// extended CONNECT (RFC 8441 §4), which has not been allowed here
		{"protocol unasked", lines(":method: CONNECT", ":protocol: websocket", https, host, root), faultProtocol},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decodeOnce(t, xnetBlock(t, test.fields))
			checkFault(t, test.fault, m.requestFault(false))
		})
	}
}

func checkFault(t *testing.T, want, got fault) {
	t.Helper()
	if section, reason := got.text(); got != want {
		wantSection, wantReason := want.text()
		t.Errorf("got %q (%s), want %q (%s)", reason, section, wantReason, wantSection)
	}
}

func TestRequestValid(t *testing.T) {
	tests := []struct {
		name   string
		fields []Field
	}{
		{"plain", head()},
		{"other order", lines(root, host, https, get)},
		{"fields", head("x-a: 1", "x-b: ", "x-c: a\tb", "x-d: caf\xc3\xa9 au lait", "!#$%&'*+-.^_`|~0: x")},
		{"te", head("te: trailers")},
		{"te twice, other case", head("te: trailers", "te: Trailers")},
		{"cookies", head("cookie: a=b", "cookie: c=d", "cookie: e=f")},
		{"content-length", head("content-length: 5")},
		{"content-length 0", head("content-length: 0")},
		{"content-length with zeros in front", head("content-length: 000000000000000000000000005")},
		{"content-length 2^63-1", head("content-length: 9223372036854775807")},
		{"OPTIONS *", lines(":method: OPTIONS", https, host, ":path: *")},
		{"OPTIONS with path", lines(":method: OPTIONS", https, host, root)},
		{"method of one's own", lines(":method: M-SEARCH", https, host, root)},
		{"query", lines(get, https, host, ":path: /a/b?c=d&e=%20;f//g?h")},
		{"path with octets over 0x7f", lines(get, https, host, ":path: /\xe2\x82\xac")},
		{"path with two slashes", lines(get, https, host, ":path: //a")},
		{"host alone", lines(get, https, root, "host: example.com")},
		{"host agrees", head("host: example.com")},
		{"host in other case", head("host: EXAMPLE.com")},
		{"host with default port", head("host: example.com:443")},
		{"host without default port", lines(get, https, ":authority: Example.com:443", root, "host: example.com")},
		{"http and port 80", lines(get, ":scheme: http", host, root, "host: example.com:80")},
		{"IPv4", lines(get, https, ":authority: 127.0.0.1:8080", root)},
		{"IPv6", lines(get, https, ":authority: [2001:db8::1]:8080", root)},
		{"IPv6 without port", lines(get, https, ":authority: [::1]", root)},
		{"IPv6 as host", lines(get, https, ":authority: [::1]", root, "host: [::1]:443")},
		{"empty port", lines(get, https, ":authority: example.com:", root)},
		{"underscore", lines(get, https, ":authority: my_host", root)},
		{"other scheme without authority", lines(get, ":scheme: coap", root)},
		{"uppercase scheme", lines(get, ":scheme: HTTPS", host, root, "host: example.com:443")},
		{"CONNECT", lines(":method: CONNECT", ":authority: example.com:443")},
		{"CONNECT with host", lines(":method: CONNECT", ":authority: example.com:443", "host: example.com:443")},
		{"CONNECT to IPv6", lines(":method: CONNECT", ":authority: [::1]:443")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decodeOnce(t, xnetBlock(t, test.fields))
			checkFault(t, faultNone, m.requestFault(false))
			checkFault(t, faultNone, m.requestFault(true))
		})
	}
}

func TestExtendedConnect(t *testing.T) {
	const connect, websocket = ":method: CONNECT", ":protocol: websocket"
	tests := []struct {
		name   string
		fields []Field
		fault  fault
	}{
		{"websocket", lines(connect, websocket, https, host, root), faultNone},
		{"other order", lines(websocket, root, host, https, connect), faultNone},
		{"method is not CONNECT", lines(get, websocket, https, host, root), faultProtocol},
		{"no method", lines(websocket, https, host, root), faultNoMethod},
		{"no scheme", lines(connect, websocket, host, root), faultNoScheme},
		{"no path", lines(connect, websocket, https, host), faultNoPath},
		{"no authority", lines(connect, websocket, https, root), faultNoAuthority},
		{"no authority, other scheme", lines(connect, websocket, ":scheme: x", root), faultNoAuthority},
		{"asterisk", lines(connect, websocket, https, host, ":path: *"), faultPath},
		{"empty protocol", lines(connect, ":protocol: ", https, host, root), faultProtocol},
		{"protocol not a token", lines(connect, ":protocol: a/b", https, host, root), faultProtocol},
		{"protocol twice", lines(connect, websocket, websocket, https, host, root), faultDuplicatePseudo},
		{"host differs", lines(connect, websocket, https, host, root, "host: x"), faultHostMismatch},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decodeOnce(t, xnetBlock(t, test.fields))
			checkFault(t, test.fault, m.requestFault(true))
		})
	}
}

func TestResponse(t *testing.T) {
	tests := []struct {
		name   string
		fields []Field
		fault  fault
	}{
		{"200", lines(ok200), faultNone},
		{"100", lines(":status: 100"), faultNone},
		{"103", lines(":status: 103", "link: </a>"), faultNone},
		{"599", lines(":status: 599"), faultNone},
		{"999", lines(":status: 999"), faultNone},
		{"content-length", lines(ok200, "content-length: 13", "content-type: text/plain"), faultNone},
		{"101", lines(":status: 101"), faultSwitchingProtocols},
		{"099", lines(":status: 099"), faultStatus},
		{"000", lines(":status: 000"), faultStatus},
		{"two digits", lines(":status: 20"), faultStatus},
		{"four digits", lines(":status: 2000"), faultStatus},
		{"letters", lines(":status: 2x0"), faultStatus},
		{"sign", lines(":status: +20"), faultStatus},
		{"with reason", lines(":status: 200 OK"), faultStatus},
		{"empty", lines(":status: "), faultStatus},
		{"none", lines("x: 1"), faultNoStatus},
		{"twice", lines(ok200, ok200), faultDuplicatePseudo},
		{"late", lines("x: 1", ok200), faultLatePseudo},
		{"method", lines(ok200, get), faultRequestPseudo},
		{"path", lines(ok200, root), faultRequestPseudo},
		{"scheme", lines(ok200, https), faultRequestPseudo},
		{"authority", lines(ok200, host), faultRequestPseudo},
		{"protocol", lines(ok200, ":protocol: x"), faultRequestPseudo},
		{"unknown pseudo", lines(ok200, ":x: x"), faultUnknownPseudo},
		{"connection", lines(ok200, "connection: close"), faultConnectionSpecific},
		{"transfer-encoding", lines(ok200, "transfer-encoding: chunked"), faultConnectionSpecific},
		{"te", lines(ok200, "te: trailers"), faultTEOutsideRequest},
		{"content-lengths", lines(ok200, "content-length: 1", "content-length: 2"), faultDuplicateContentLength},
		{"uppercase", lines(ok200, "Server: x"), faultUpperName},
		{"CRLF", lines(ok200, "location: /\r\nset-cookie: a=b"), faultValue},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decodeOnce(t, xnetBlock(t, test.fields))
			checkFault(t, test.fault, m.responseFault())
		})
	}
}

func TestTrailers(t *testing.T) {
	tests := []struct {
		name   string
		fields []Field
		fault  fault
	}{
		{"none", nil, faultNone},
		{"fields", lines("grpc-status: 0", "x-checksum: abc"), faultNone},
		{"method", lines(get), faultTrailerPseudo},
		{"status", lines("x: 1", ok200), faultTrailerPseudo},
		{"unknown pseudo", lines(":x: 1"), faultUnknownPseudo},
		{"connection", lines("connection: x"), faultConnectionSpecific},
		{"te", lines("te: trailers"), faultTEOutsideRequest},
		{"uppercase", lines("X: 1"), faultUpperName},
		{"LF", lines("x: a\nb"), faultValue},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := decodeOnce(t, xnetBlock(t, test.fields))
			checkFault(t, test.fault, m.trailersFault())
		})
	}
}

// ignoreChecks leaves the unexported half of a Message out of a comparison.
var ignoreChecks = cmpopts.IgnoreUnexported(Message{})

func TestMessageFields(t *testing.T) {
	got := decodeOnce(t, xnetBlock(t, lines(
		":method: POST", https, host, ":path: /a?b",
		"x-first: 1", "cookie: a=1", "content-length: 42", "cookie: b=2", "cookie: ", "x-last: 2", "cookie: c=3",
	)))
	want := &Message{
		Method: "POST", Scheme: "https", Authority: "example.com", Path: "/a?b",
		Fields:        lines("x-first: 1", "cookie: a=1; b=2; ; c=3", "content-length: 42", "x-last: 2"),
		ContentLength: 42,
	}
	if diff := cmp.Diff(want, got, ignoreChecks); diff != "" {
		t.Error(diff)
	}
}

// TestWhitespaceAtEnds has a client decode whitespace at the ends of values, again and again, with
// the values without it among them.
func TestWhitespaceAtEnds(t *testing.T) {
	fields := lines(ok200, "server: App/1.0 ", "x-a: \t a\tb \t", "x-space:  ", "x-a: a\tb", "content-length: 5\t")
	want := lines("server: App/1.0", "x-a: a\tb", "x-space: ", "x-a: a\tb", "content-length: 5")
	d := NewDecoder(4096, 1<<16, 100)
	d.SetClient()
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := range 4 {
		b.Reset()
		for _, f := range fields {
			if err := enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		var m Message
		decodeInto(t, d, &m, b.Bytes())
		checkFault(t, faultNone, m.responseFault())
		if diff := cmp.Diff(want, m.Fields); diff != "" || m.ContentLength != 5 {
			t.Errorf("block %d: content-length %d, fields %s", i, m.ContentLength, diff)
		}
	}
	for _, tt := range []struct {
		fields []Field
		fault  fault
	}{
		{lines(":status:  200"), faultValueSpace},
		{lines(":status: 200 "), faultValueSpace},
		{lines(ok200, "x:  a\nb"), faultValue},
		{lines(ok200, "content-length:  "), faultContentLength},
		{lines(ok200, "connection:  close"), faultConnectionSpecific},
		{lines(ok200, "te:  trailers"), faultTEOutsideRequest},
	} {
		var m Message
		decodeInto(t, d, &m, xnetBlock(t, tt.fields))
		checkFault(t, tt.fault, m.responseFault())
	}
	var m Message
	decodeInto(t, d, &m, xnetBlock(t, lines("grpc-status: 5", "grpc-message: no route ")))
	checkFault(t, faultNone, m.trailersFault())
	if diff := cmp.Diff(lines("grpc-status: 5", "grpc-message: no route"), m.Fields); diff != "" {
		t.Error(diff)
	}
}

func TestMessageIsReset(t *testing.T) {
	d := NewDecoder(4096, 1<<16, 100)
	var m Message
	decodeInto(t, d, &m, xnetBlock(t, lines(
		":method: CONNECT", ":protocol: x", https, host, root, "host: a", "te: trailers", "content-length: 1", "X: 1",
		"cookie: a", "cookie: b",
	)))
	decodeInto(t, d, &m, xnetBlock(t, lines(":status: 404")))
	want := &Message{Status: 404, ContentLength: -1}
	if diff := cmp.Diff(want, &m, ignoreChecks, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	checkFault(t, faultNone, m.responseFault())
	decodeInto(t, d, &m, xnetBlock(t, lines("cookie: c")))
	if diff := cmp.Diff(lines("cookie: c"), m.Fields); diff != "" {
		t.Error(diff)
	}
}

func decodeInto(t testing.TB, d *Decoder, m *Message, block []byte) {
	t.Helper()
	if err := d.Decode(block, m); err != nil {
		t.Fatal(err)
	}
}

func TestSensitiveIsKept(t *testing.T) {
	m := decodeOnce(t, xnetBlock(t, []Field{
		{Name: "authorization", Value: "Basic x", Sensitive: true},
		{Name: "cookie", Value: "a=b"},
		{Name: "cookie", Value: "c=d", Sensitive: true},
		{Name: "x", Value: "y"},
	}))
	want := []Field{
		{Name: "authorization", Value: "Basic x", Sensitive: true},
		{Name: "cookie", Value: "a=b; c=d", Sensitive: true},
		{Name: "x", Value: "y"},
	}
	if diff := cmp.Diff(want, m.Fields); diff != "" {
		t.Error(diff)
	}
}

// A fault must be the same whether the field comes as a literal or from the table.
func TestFaultFromTable(t *testing.T) {
	d := NewDecoder(4096, 1<<16, 100)
	var m Message
	decodeInto(t, d, &m, xnetBlock(t, head("x-bad: a\nb", "Bad: 1", "content-length: x")))
	for index, want := range map[byte]fault{0xbe: faultContentLength, 0xbf: faultUpperName, 0xc0: faultValue} {
		decodeInto(t, d, &m, []byte{0x82, 0x87, 0x84, 0xc1, index})
		checkFault(t, want, m.requestFault(false))
	}
	// A literal that takes only its name from there (RFC 7541 §6.2.2).
	decodeInto(t, d, &m, []byte{0x82, 0x87, 0x84, 0xc1, 0x0f, 0x3f - 0x0f, 1, 'x'})
	checkFault(t, faultUpperName, m.requestFault(false))
	decodeInto(t, d, &m, []byte{0x82, 0x87, 0x84, 0xc1, 0x0f, 0x3e - 0x0f, 1, '7'})
	checkFault(t, faultNone, m.requestFault(false))
	if m.ContentLength != 7 {
		t.Errorf("content-length is %d, want 7", m.ContentLength)
	}
}

func TestFaultTextsComplete(t *testing.T) {
	for f := faultNone + 1; f < numFaults; f++ {
		if section, reason := f.text(); !strings.HasPrefix(section, "RFC ") || reason == "" {
			t.Errorf("fault %d has section %q, reason %q", f, section, reason)
		}
	}
}
