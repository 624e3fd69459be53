package benchmarks

import (
	"net/http"
	"net/url"
	"testing"
)

var handed *http.Request

// BenchmarkTypes is what the types that an http.Handler gets cost by themselves, for a request with
// one field: the memory alone, in as few pieces as they allow, with nothing in it. No server with
// such handlers takes less, unless it lends a handler what the next request will be in.
func BenchmarkTypes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		x := new(struct {
			request http.Request
			url     url.URL
		})
		values := make([]string, 1)
		x.request.URL = &x.url
		x.request.Header = make(http.Header, 1)
		x.request.Header["User-Agent"] = values[:1:1]
		handed = &x.request
	}
}
