package get

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a server redirects to on another port gets no field with a secret, and the same server all.
func TestRedirectedFields(t *testing.T) {
	var got http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer other.Close()
	var to string
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got = r.Header; r.URL.Path == "/" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	}))
	defer first.Close()
	for name, tt := range map[string]struct {
		to   string
		want []string
	}{
		"the same origin": {"/x", []string{"Accept", "Authorization", "Cookie", "Referer", "X-Api-Key", "X-Plain"}},
		"another port":    {other.URL, []string{"Accept", "X-Plain"}},
	} {
		to = tt.to
		_, _, err := (&testServer{url: first.URL}).get(Options{Follow: true, Header: []string{
			"Authorization: Bearer a", "Cookie: a=b", "X-Api-Key: a", "Accept: */*", "X-Plain: a",
		}}, "/?token=abc")
		if err != nil {
			t.Fatal(name, err)
		}
		got.Del("User-Agent")
		if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

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
			r.Header = http.Header{
				"Authorization": {"Bearer a"}, "Proxy-Authorization": {"Basic a"}, "Cookie": {"a=b"}, "Accept": {"*/*"},
				"X-Api-Key": {"a"}, "X-Auth-Token": {"", "a"}, "Private-Token": {"a"}, "Dpop": {"a"},
				"Referer": {"https://a.test/?access_token=a"}, "X-Original-Authorization": {"a"},
			}
			requests[i] = r
		}
		req := requests[len(requests)-1]
		if err := redirected(req, requests[:len(requests)-1]); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		want := 1
		if tt.kept {
			want = 10
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
