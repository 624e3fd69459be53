package client

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/h2test"
)

func respondTrailers(id uint32, pairs ...string) h2test.Block {
	return h2test.Trailers(id).WithPairs(pairs...)
}

// Which requests a pushed response answers.
func TestPushCacheMatch(t *testing.T) {
	head := func(r *http.Request) { r.Method = "HEAD" }
	set := func(k, v string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(k, v) } }
	url := func(s string) func(*http.Request) {
		return func(r *http.Request) {
			u, err := r.URL.Parse(s)
			if err != nil {
				panic(err)
			}
			r.URL, r.Host = u, ""
		}
	}
	tests := []struct {
		name     string
		promise  []string
		response []string
		change   func(*http.Request)
		want     bool
	}{
		{"the same", nil, nil, func(*http.Request) {}, true},
		{"no method is GET", nil, nil, func(r *http.Request) { r.Method = "" }, true},
		{"HEAD for GET", nil, nil, head, false},
		{"HEAD for HEAD", []string{":method", "HEAD"}, nil, head, true},
		{"GET for HEAD", []string{":method", "HEAD"}, nil, func(*http.Request) {}, false},
		{"POST", nil, nil, func(r *http.Request) { r.Method = "POST" }, false},
		{
			"a body",
			nil,
			nil,
			func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1 },
			false,
		},
		{"another path", nil, nil, url("/pushed/"), false},
		{"a query", nil, nil, url("/pushed?x"), false},
		{"another case of the host, and its port", nil, nil, url("http://EXAMPLE.test:80/pushed#x"), true},
		{"the host of Request.Host", nil, nil, func(r *http.Request) { r.Host = "other.test" }, false},
		{"Range", nil, nil, set("Range", "bytes=0-1"), false},
		{"If-None-Match", nil, nil, set("If-None-Match", `"x"`), false},
		{"no-cache", nil, nil, set("Cache-Control", "max-age=1, no-cache"), false},
		{"max-age", nil, nil, set("Cache-Control", "max-age=1"), true},
		{"Authorization", nil, nil, set("Authorization", "x"), false},
		{"Authorization in both", []string{"authorization", "x"}, nil, set("Authorization", "x"), true},
		{"Close", nil, nil, func(r *http.Request) { r.Close = true }, false},
		{"a field that does not matter", nil, nil, set("Accept", "y"), true},
		{"Vary, absent in both", nil, []string{"vary", "Accept"}, func(*http.Request) {}, true},
		{"Vary, the same", []string{"accept", "y"}, []string{"vary", "origin, accept"}, set("Accept", "y"), true},
		{"Vary, another", []string{"accept", "y"}, []string{"vary", "origin, accept"}, set("Accept", "z"), false},
		{"Vary, only in the request", nil, []string{"vary", "accept"}, set("Accept", "z"), false},
		{"Vary, only in the promise", []string{"accept", "y"}, []string{"vary", "accept"}, func(*http.Request) {}, false},
		{"Vary, all", nil, []string{"vary", "*"}, func(*http.Request) {}, false},
		{
			"Vary, our own User-Agent",
			[]string{"user-agent", defaultUserAgent},
			[]string{"vary", "user-agent"},
			func(*http.Request) {},
			true,
		},
		{
			"Vary, a coding that was not used",
			[]string{"accept-encoding", "br"},
			[]string{"vary", "accept-encoding"},
			func(*http.Request) {},
			true,
		},
		{
			"a coding that was not asked for",
			[]string{"accept-encoding", "br"},
			[]string{"content-encoding", "br"},
			func(*http.Request) {},
			false,
		},
		{
			"a coding that was asked for",
			[]string{"accept-encoding", "br"},
			[]string{"content-encoding", "br"},
			set("Accept-Encoding", "gzip;q=0.5, br;q=1"),
			true,
		},
		{
			"a coding that was refused",
			[]string{"accept-encoding", "br"},
			[]string{"content-encoding", "br"},
			set("Accept-Encoding", "br; q=0"),
			false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, p, page := cached(t)
				req := newRequest(t, "GET", testURL+"/pushed", nil)
				tt.change(req)
				p.send(p.promise(2, tt.promise...), h2test.Response(2, 200).WithPairs(tt.response...), h2test.DataEnd(2, ""))
				synctest.Wait()
				r := f.start(req)
				synctest.Wait()
				claimed := f.tr.PushCache.Stats().Matched == 1
				if claimed != tt.want {
					t.Errorf("claimed: %v, want %v", claimed, tt.want)
				}
				if !claimed && req.Host != "other.test" {
					h := p.request()
					p.send(h2test.Response(h.StreamID, 204).End())
				}
				if req.Host == "other.test" {
					r.stop()
					<-r.done
				} else {
					_ = readAll(t, r.response())
				}
				f.end(p, page)
			})
		})
	}
}
