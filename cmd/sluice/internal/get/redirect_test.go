package get

import (
	"errors"
	"net/http"
	"testing"
)

// Credentials go to the origin alone that they were given for.
func TestRedirected(t *testing.T) {
	for _, tt := range []struct {
		name string
		urls []string // the last one is that of the redirect
		kept bool
	}{
		{"another path", []string{"https://a.test/", "https://a.test/x"}, true},
		{"the port that is meant", []string{"https://a.test/", "https://A.test:443/x"}, true},
		{"another port", []string{"http://a.test:8080/", "http://a.test:9090/"}, false},
		{"cleartext", []string{"https://a.test/", "http://a.test/"}, false},
		{"a name below", []string{"https://a.test/", "https://b.a.test/"}, false},
		{"back again", []string{"https://a.test/", "https://b.test/", "https://a.test/x"}, false},
	} {
		requests := make([]*http.Request, len(tt.urls))
		for i, u := range tt.urls {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"Authorization": {"Bearer a"}, "Cookie": {"a=b"}, "Accept": {"*/*"}}
			requests[i] = r
		}
		req := requests[len(requests)-1]
		if err := redirected(req, requests[:len(requests)-1]); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		want := 1
		if tt.kept {
			want = 3
		}
		if len(req.Header) != want || req.Header.Get("Accept") == "" {
			t.Errorf("%s: %v", tt.name, req.Header)
		}
	}
	req := &http.Request{}
	if err := redirected(req, make([]*http.Request, maxRedirects)); err == nil || errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("after ten redirects: %v", err)
	}
}
