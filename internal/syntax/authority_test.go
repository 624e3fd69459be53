package syntax

import "testing"

func TestSplitPort(t *testing.T) {
	for _, tt := range [][3]string{
		{"example.com", "example.com", ""},
		{"example.com:8080", "example.com", "8080"},
		{"example.com:", "example.com", ""},
		{"[::1]", "[::1]", ""},
		{"[::1]:443", "[::1]", "443"},
		{":80", "", "80"},
		{"", "", ""},
	} {
		if host, port := SplitPort(tt[0]); host != tt[1] || port != tt[2] {
			t.Errorf("SplitPort(%q) = %q, %q", tt[0], host, port)
		}
	}
}

func TestSameAuthority(t *testing.T) {
	for _, tt := range []struct {
		scheme, a, b string
		want         bool
	}{
		{"https", "example.com", "EXAMPLE.com", true},
		{"https", "example.com", "example.com:443", true},
		{"https", "example.com:", "example.com", true},
		{"https", "example.com:80", "example.com", false},
		{"http", "example.com:80", "example.com", true},
		{"http", "[::1]", "[::1]:80", true},
		{"https", "a.example", "b.example", false},
		{"ftp", "example.com", "example.com:21", false}, // a scheme without a default port here
	} {
		if got := SameAuthority(tt.scheme, tt.a, tt.b); got != tt.want {
			t.Errorf("SameAuthority(%q, %q, %q) = %v", tt.scheme, tt.a, tt.b, got)
		}
	}
}

func TestHasToken(t *testing.T) {
	lines := []string{"keep-alive, \tUpgrade ", "", "HTTP2-Settings"}
	for token, want := range map[string]bool{
		"upgrade": true, "keep-alive": true, "http2-settings": true, "close": false, "keep": false,
	} {
		if got := HasToken(lines, token); got != want {
			t.Errorf("%q: %v", token, got)
		}
	}
}
