package capture

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
)

func TestHideFields(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"accept", "text/html", "text/html"},
		{"content-type", "multipart/form-data; boundary=x", "multipart/form-data; boundary=x"},
		{"authorization", "Bearer abc.def", "Bearer (hidden, 7 octets)"},
		{"Authorization", "abcdef", "(hidden, 6 octets)"},
		{"proxy-authorization", "Basic dTpw", "Basic (hidden, 4 octets)"},
		{"cookie", "a=1; session=abcdef", "a=(hidden, 1 octets); session=(hidden, 6 octets)"},
		{"cookie", "abc", "(hidden, 3 octets)"},
		{"set-cookie", "id=abc; Path=/; HttpOnly", "id=(hidden, 3 octets); Path=/; HttpOnly"},
		{"x-api-key", "abc", "(hidden, 3 octets)"},
		{"x-csrf-token", "abc", "(hidden, 3 octets)"},
		{"ocp-apim-subscription-key", "abc", "(hidden, 3 octets)"},
		{"sec-websocket-key", "abc", "abc"},
		{"sec-websocket-protocol", "graphql-ws, mqtt", "graphql-ws, mqtt"},
		{"sec-websocket-protocol", "bearer, abc", "bearer, (hidden, 3 octets)"},
		{
			"sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.abc, v4.channel.k8s.io",
			"(hidden, 41 octets), v4.channel.k8s.io",
		},
		{"x-serverless-authorization", "Bearer abc", "Bearer (hidden, 3 octets)"},
		{"x-goog-iap-jwt-assertion", "abc", "(hidden, 3 octets)"},
		{"ok-access-passphrase", "abc", "(hidden, 3 octets)"},
		{"x-github-otp", "123456", "(hidden, 6 octets)"},
		{"x-special", "abc", "(hidden, 3 octets)"},
		{":path", "/", "/"},
		{":path", "/a?q=1&access_token=abc&x=2", "/a?q=1&access_token=(hidden, 3 octets)&x=2"},
		{":path", "/a?key=abc", "/a?key=(hidden, 3 octets)"},
		{":path", "/a?sig=abc#sig=abcd", "/a?sig=(hidden, 3 octets)#sig=(hidden, 4 octets)"},
		{":path", "/a?X-Amz-Signature=abc", "/a?X-Amz-Signature=(hidden, 3 octets)"},
		{":path", "/a?%61ccess_token=abc", "/a?%61ccess_token=(hidden, 3 octets)"},
		{":path", "/a?monkey=abc", "/a?monkey=abc"},
		{"referer", "https://u:p@a.example/?token=abc", "https://(hidden, 3 octets)@a.example/?token=(hidden, 3 octets)"},
		{"location", "/cb#id_token=abc&state=1", "/cb#id_token=(hidden, 3 octets)&state=1"},
		{"link", `<https://a.example/?key=abc>; rel="next"`, `<https://a.example/?key=(hidden, 3 octets)>; rel="next"`},
		{"x-original-url", "/a?token=abc", "/a?token=(hidden, 3 octets)"},
		{":authority", "u:p@a.example:443", "(hidden, 3 octets)@a.example:443"},
		{":authority", "a.example:443", "a.example:443"},
		{"host", "u:p@q@a.example", "(hidden, 5 octets)@a.example"},
		{"location", "https://u:p;q,r@a.example/", "https://(hidden, 7 octets)@a.example/"},
		{"cf-access-jwt-assertion", "abc", "(hidden, 3 octets)"},
		{"x-original-authorization", "abc", "(hidden, 3 octets)"},
		{"access-control-allow-credentials", "true", "true"},
		{"x-any", "see https://a.example/?token=abc", "see https://a.example/?token=(hidden, 3 octets)"},
	} {
		fields := []Field{{Name: tt.name, Value: tt.value}}
		hideFields(fields, []string{"x-special"})
		want := []Field{{Name: tt.name, Value: tt.want, Hidden: tt.value != tt.want}}
		if diff := cmp.Diff(want, fields); diff != "" {
			t.Errorf("%s: %s: %s", tt.name, tt.value, diff)
		}
	}
}

func TestHideField(t *testing.T) {
	for _, tt := range [][3]string{
		{"X-Api-Key", "abc", "(hidden, 3 octets)"},
		{"X-Api-Key", "", ""},
		{"Accept", "*/*", "*/*"},
		{"Referer", "https://a.example/?token=abc", "https://a.example/?token=(hidden, 3 octets)"},
	} {
		if got := HideField(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s: %s: %s, want %s", tt[0], tt[1], got, tt[2])
		}
	}
}

// A value whose name is not sure may be a cookie.
func TestHideWhatIsNotSure(t *testing.T) {
	fields := []Field{
		{Value: "abc", State: UnknownField, Index: 70},
		{State: UnknownField, Index: 71},
		{Name: "accept", Value: "abcd", State: Tainted, Index: 62},
	}
	hideFields(fields, nil)
	want := []Field{
		{Value: "(hidden, 3 octets)", State: UnknownField, Index: 70, Hidden: true},
		{State: UnknownField, Index: 71},
		{Name: "accept", Value: "(hidden, 4 octets)", State: Tainted, Index: 62, Hidden: true},
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
}

func TestHideEvents(t *testing.T) {
	secret := func() []Field { return []Field{{Name: "authorization", Value: "Bearer abc"}} }
	want := []Field{{Name: "authorization", Value: "Bearer (hidden, 3 octets)", Hidden: true}}
	f := &Frame{Fields: secret(), Parsed: frame.GoAway{DebugData: []byte("/?token=abc")}}
	m := &Message{Line: "GET /?token=abc HTTP/1.1", Fields: secret()}
	r := &Request{
		Path: "/?token=abc", Fields: [2][]Field{secret(), secret()}, Trailers: [2][]Field{secret(), secret()},
		Authority: "u:p@a.example", Reason: "see /?token=abc",
		GRPC: &GRPC{Method: "/a.B/C?token=abc", Message: "see https://u:p@a.example/"},
	}
	c := &Message{Line: "CONNECT u:p@a.example:443 HTTP/1.1"}
	n := &Finding{Text: "the path /?token=abc has a space"}
	for _, e := range []Event{f, m, r, n, c} {
		hide(e, nil)
	}
	for _, fields := range [][]Field{
		f.Fields, m.Fields, r.Fields[Client], r.Fields[Server], r.Trailers[Client], r.Trailers[Server],
	} {
		if diff := cmp.Diff(want, fields); diff != "" {
			t.Error(diff)
		}
	}
	got := []string{
		string(f.Parsed.(frame.GoAway).DebugData), m.Line, r.Path, n.Text, c.Line,
		r.Authority, r.Reason, r.GRPC.Method, r.GRPC.Message,
	}
	texts := []string{
		"/?token=(hidden, 3 octets)", "GET /?token=(hidden, 3 octets) HTTP/1.1", "/?token=(hidden, 3 octets)",
		"the path /?token=(hidden, 3 octets) has a space", "CONNECT (hidden, 3 octets)@a.example:443 HTTP/1.1",
		"(hidden, 3 octets)@a.example", "see /?token=(hidden, 3 octets)",
		"/a.B/C?token=(hidden, 3 octets)", "see https://(hidden, 3 octets)@a.example/",
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Error(diff)
	}
}
