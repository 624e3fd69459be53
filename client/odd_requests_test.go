//go:build !nethttpomithttp2

package client

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// An oddRequest is sent by net/http's HTTP/2 and by ours, and what a server sees frame by frame
// must be the same.
type oddRequest struct {
	name string
	make func(*http.Request)
	ours string // where we do otherwise: why
}

func set(key string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[key] = values }
}

func trailer(key string, values ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader("body")), 4
		r.Trailer = http.Header{key: values}
	}
}

func host(s string) func(*http.Request)   { return func(r *http.Request) { r.Host = s } }
func method(s string) func(*http.Request) { return func(r *http.Request) { r.Method = s } }
func query(s string) func(*http.Request)  { return func(r *http.Request) { r.URL.RawQuery = s } }
func path(s string) func(*http.Request)   { return func(r *http.Request) { r.URL.Path = s } }
func opaque(s string) func(*http.Request) { return func(r *http.Request) { r.URL.Opaque = s } }

// withBody has a body of four octets and a Content-Length of n.
func withBody(method string, n int64) func(*http.Request) {
	return func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = method, io.NopCloser(strings.NewReader("body")), n
	}
}

// lateTrailer sets trailers when the body is read.
func lateTrailer(announced, key, value string) func(*http.Request) {
	return func(r *http.Request) {
		r.Method, r.ContentLength = "POST", -1
		r.Trailer = http.Header{announced: nil}
		r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) {
			r.Trailer[key] = []string{value}
			return 0, io.EOF
		}))
	}
}

const (
	trimmed  = "white space at the ends of values must not be sent (RFC 9113 §8.2.1)"
	oneSpace = "a space or # in a query is sent percent-encoded"
	refused  = "control characters in :path are refused"
	crumbs   = "cookies are sent without white space at the ends of crumbs, and without empty ones"
	noZone   = "a zone is not sent (RFC 6874 §4)"
	onlyTE   = "TE has trailers only (RFC 9113 §8.2.2)"
	aLabel   = "a name of an URL is looked up by IDNA's rules"
	checked  = "late trailers are checked, too"
	short    = "a body that is too short ends with an error, and not with END_STREAM"
)

var oddRequests = []oddRequest{
	{"plain", func(*http.Request) {}, ""},
	{"User-Agent", set("User-Agent", "mine/1.0"), ""},
	{"User-Agent empty", set("User-Agent", ""), ""},
	{"User-Agent nil", set("User-Agent"), ""},
	{"User-Agent twice", set("User-Agent", "a", "b"), ""},
	{"User-Agent with CRLF", set("User-Agent", "a\r\nX: y"), ""},
	{"User-Agent with NUL", set("User-Agent", "a\x00b"), ""},
	{"User-Agent, second bad", set("User-Agent", "a", "b\n"), ""},
	{"User-Agent with spaces", set("User-Agent", " a b "), trimmed},
	{"User-Agent of a space", set("User-Agent", " "), trimmed},
	{"User-Agent in lower case", set("user-agent", "x"), "found whatever its case"},
	{"value with CR", set("X-A", "a\rb"), ""},
	{"value with LF", set("X-A", "a\nb"), ""},
	{"value with NUL", set("X-A", "a\x00b"), ""},
	{"value with DEL", set("X-A", "a\x7fb"), ""},
	{"value with tab", set("X-A", "a\tb"), ""},
	{"value of Latin-1", set("X-A", "\xe9"), ""},
	{"value of UTF-8", set("X-A", "é"), ""},
	{"value empty", set("X-A", ""), ""},
	{"value with spaces", set("X-A", "  a  "), trimmed},
	{"value of a tab", set("X-A", "\t"), trimmed},
	{"many values", set("X-A", "a", "", "c"), ""},
	{"no values", set("X-A"), ""},
	{"name in lower case", set("x-a", "a"), ""},
	{"name with space", set("X A", "a"), ""},
	{"name with colon", set("X:A", "a"), ""},
	{"name empty", set("", "a"), ""},
	{"name with CRLF", set("X-A\r\nX-B", "a"), ""},
	{"name of UTF-8", set("X-É", "a"), ""},
	{"name of a pseudo-header", set(":path", "/x"), ""},
	{"name bad, without values", set("X A"), ""},
	{":protocol with GET", set(":protocol", "websocket"), "net/http's Transport refuses the name"},
	{":protocol with CRLF", set(":protocol", "a\r\nb"), "net/http's Transport refuses the name"},
	{"Host in header", set("Host", "other.test"), ""},
	{"Content-Length in header", set("Content-Length", "7"), ""},
	{"Connection close", set("Connection", "close"), ""},
	{"Connection keep-alive", set("Connection", "Keep-Alive"), ""},
	{"Connection upgrade", set("Connection", "upgrade"), ""},
	{"Connection twice", set("Connection", "close", "close"), ""},
	{"Upgrade", set("Upgrade", "h2c"), ""},
	{"upgrade in lower case", set("upgrade", "h2c"), ""},
	{"Transfer-Encoding chunked", set("Transfer-Encoding", "chunked"), ""},
	{"Transfer-Encoding gzip", set("Transfer-Encoding", "gzip"), ""},
	{"Keep-Alive", set("Keep-Alive", "5"), ""},
	{"Proxy-Connection", set("Proxy-Connection", "x"), ""},
	{"TE trailers", set("Te", "trailers"), ""},
	{"TE gzip", set("Te", "gzip"), onlyTE},
	{"Expect", set("Expect", "100-continue"), ""},
	{"Range", set("Range", "bytes=0-1"), ""},
	{"Accept-Encoding", set("Accept-Encoding", "br"), ""},
	{"Accept-Encoding empty", set("Accept-Encoding", ""), ""},
	{"Trailer in header", set("Trailer", "X-T"), ""},
	{"Cookie", set("Cookie", "a=b; c=d"), ""},
	{"Cookie twice", set("Cookie", "a=b", "c=d"), ""},
	{"Cookie empty", set("Cookie", ""), ""},
	{"Cookie with spaces", set("Cookie", " a=b ;  c=d; ; "), crumbs},
	{"Cookie with CRLF", set("Cookie", "a=b\r\nX: y"), ""},
	{"Referer", set("Referer", "http://a.test/?x y"), ""},
	{"Authorization", set("Authorization", "Basic eA=="), ""},
	{"Priority", set("Priority", "u=1"), ""},
	{"host", host("other.test:81"), ""},
	{"host with space", host("a b"), ""},
	{"host with CRLF", host("a\r\nX: y"), ""},
	{"host with path", host("a/b"), ""},
	{"host with userinfo", host("u:p@a"), ""},
	{"host of UTF-8", host("bücher.test"), ""},
	{"host in upper case", host("OTHER.test"), ""},
	{"host of IPv6", host("[2001:db8::1]:80"), ""},
	{"host with zone", host("[fe80::1%eth0]:80"), noZone},
	{"host with escaped zone", host("[fe80::1%25eth0]"), noZone},
	{"method", method("purge"), ""},
	{"method empty", method(""), ""},
	{"method with space", method("GET /x"), ""},
	{"method with CRLF", method("GET\r\n"), ""},
	{"method of UTF-8", method("GÉT"), ""},
	{"method HEAD", method("HEAD"), ""},
	{"method OPTIONS *", func(r *http.Request) { r.Method, r.URL.Path = "OPTIONS", "*" }, ""},
	{"method POST without body", method("POST"), ""},
	{"method PUT without body", method("PUT"), ""},
	{"method DELETE without body", method("DELETE"), ""},
	{"method CONNECT", method("CONNECT"), "a tunnel has no content that could be compressed"},
	{"path with space", path("/a b"), ""},
	{"path with CRLF", path("/a\r\nb"), ""},
	{"path of UTF-8", path("/é"), ""},
	{"path empty", path(""), ""},
	{"path without slash", path("a"), ""},
	{"path of two slashes", path("//a"), ""},
	{"path escaped", func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/a%2Fb" }, ""},
	{"path with question mark", path("/a?b"), ""},
	{"query", query("a=b&c=%20"), ""},
	{"query with space", query("a b"), oneSpace},
	{"query with #", query("a#b"), oneSpace},
	{"query with CRLF", query("a\r\nb"), refused},
	{"query with NUL", query("a\x00b"), refused},
	{"query of UTF-8", query("é"), ""},
	{"query forced", func(r *http.Request) { r.URL.ForceQuery = true }, ""},
	{"fragment", func(r *http.Request) { r.URL.Fragment = "frag" }, ""},
	{"userinfo", func(r *http.Request) { r.URL.User = url.UserPassword("u", "p") }, ""},
	{"opaque", opaque("//example.test/a/b?c"), ""},
	{"opaque of another host", opaque("//other.test/a"), ""},
	{"opaque without slash", opaque("a/b"), ""},
	{"opaque path", opaque("/a%2fb"), ""},
	{"body", withBody("POST", 4), ""},
	{"body of GET", withBody("GET", 4), ""},
	{"body of unknown length", withBody("POST", -1), ""},
	{"body of length 0", withBody("POST", 0), ""},
	{"NoBody", func(r *http.Request) { r.Method, r.Body, r.ContentLength = "POST", http.NoBody, 9 }, ""},
	{"trailers", trailer("X-T", "a", "b"), ""},
	{"trailer without value", trailer("X-T"), ""},
	{"trailer in lower case", trailer("x-t", "a"), ""},
	{"trailer with CRLF", trailer("X-T", "a\r\nb"), ""},
	{"trailer of bad name", trailer("X T", "a"), ""},
	{"trailer Content-Length", trailer("Content-Length", "4"), ""},
	{"trailer transfer-encoding", trailer("transfer-encoding", "x"), ""},
	{"trailer Trailer", trailer("Trailer", "x"), ""},
	{"trailer with spaces", trailer("X-T", " a "), trimmed},
	{"trailers late", lateTrailer("X-T", "X-T", "late"), ""},
	{"trailers late, unannounced", lateTrailer("X-T", "X-U", "late"), ""},
	{"trailers late with CRLF", lateTrailer("X-T", "X-T", "a\r\nb"), checked},
	{"close", func(r *http.Request) { r.Close = true }, ""},
	{"no header", func(r *http.Request) { r.Header = nil }, ""},
	{"no URL", func(r *http.Request) { r.URL = nil }, ""},
	{"no host", func(r *http.Request) { r.URL.Host = "" }, ""},
	{"scheme", func(r *http.Request) { r.URL.Scheme = "ftp" }, ""},
	{"ContentLength negative", func(r *http.Request) { r.ContentLength = -7 }, ""},
	{"TransferEncoding", func(r *http.Request) { r.TransferEncoding = []string{"identity"} }, ""},
}

// seen sends a request and returns what a server has seen of it, and the client of the answer.
func (o oddRequest) seen(t *testing.T, f *testDialer, rt http.RoundTripper) (frames []string, err string) {
	req := newRequest(t, "GET", "http://example.test/", nil)
	o.make(req)
	served := make(chan struct{})
	go func() {
		defer close(served)
		nc, err := f.l.Accept()
		if err != nil {
			return
		}
		p := newPeer(t, nc)
		p.send(frame.NewSettings(), frame.Settings{Ack: true})
		frames = p.transcript()
		_ = nc.Close()
	}()
	resp, e := rt.RoundTrip(req)
	if e != nil {
		err = e.Error()
	} else {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	synctest.Wait() // until the connection has no request
	rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	_ = f.l.Close()
	<-served
	return frames, err
}

// transcript answers requests with 204, and returns the frames that come.
func (p *peer) transcript() (frames []string) {
	for {
		switch f := p.next().(type) {
		case h2test.Block:
			var fields []string
			for _, hf := range f.Fields {
				fields = append(fields, fmt.Sprintf("%q: %q", hf.Name, hf.Value))
			}
			slices.Sort(fields)
			frames = append(frames, fmt.Sprintf("HEADERS end=%v %s", f.EndStream, strings.Join(fields, "\n\t")))
			if f.EndStream {
				p.send(h2test.Response(f.StreamID, 204).End())
			}
		case frame.Data:
			if len(f.Data) > 0 {
				frames = append(frames, fmt.Sprintf("DATA %q", f.Data))
			}
			if f.EndStream {
				frames = append(frames, "END_STREAM")
				p.send(h2test.Response(f.StreamID, 204).End())
			}
		case frame.RSTStream:
			frames = append(frames, fmt.Sprint("RST_STREAM ", f.Code))
		case frame.GoAway, nil:
			return frames
		}
	}
}

// What a caller may put into a request comes to a server as net/http has it, or is refused in its
// words before anything is sent.
func TestOddRequests(t *testing.T) {
	for _, o := range oddRequests {
		t.Run(o.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t)
				ours, oursErr := o.seen(t, f, f.tr)
				f = newTestDialer(t)
				theirs, theirsErr := o.seen(t, f, &http.Transport{DialContext: f.l.Dial, Protocols: h2cOnly()})
				d := cmp.Diff(theirs, ours) + cmp.Diff(theirsErr, oursErr)
				switch {
				case d != "" && o.ours == "":
					t.Errorf("(-net/http +ours):\n%s", d)
				case d == "" && o.ours != "":
					t.Errorf("no difference, though %s", o.ours)
				}
				for _, s := range ours {
					if strings.ContainsAny(s, "\r\x00") || strings.Contains(s, `\r`) || strings.Contains(s, `\x00`) {
						t.Errorf("on the wire: %s", s)
					}
				}
			})
		})
	}
}
