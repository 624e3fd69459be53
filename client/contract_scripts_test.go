//go:build !nethttpomithttp2

package client

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

var scripts = []script{
	{
		name:    "GET",
		handler: dump,
		do:      func(n *transcript, rt http.RoundTripper) { n.response(rt.RoundTrip(request("GET", "/a/b?c=d", nil))) },
	},
	{name: "methods", handler: dump, do: func(n *transcript, rt http.RoundTripper) {
		for _, m := range []string{"HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "WEIRD"} {
			n.response(rt.RoundTrip(request(m, "/", nil)))
			n.response(rt.RoundTrip(request(m, "/", strings.NewReader("body"))))
			n.response(rt.RoundTrip(request(m, "/", streamOnly{strings.NewReader("stream")})))
			n.response(rt.RoundTrip(request(m, "/", http.NoBody)))
		}
	}},
	{name: "request fields", handler: dump, do: func(n *transcript, rt http.RoundTripper) {
		r := request(
			"GET",
			"/",
			nil,
			"A",
			"1",
			"A",
			"2",
			"Cookie",
			"a=b; c=d;e=f",
			"Authorization",
			"secret",
			"User-Agent",
			"me",
			"Content-Length",
			"77",
			"Host",
			"other",
			"Keep-Alive",
			"x",
			"Accept",
			"x",
			"Empty",
			"",
		)
		n.response(rt.RoundTrip(r))
		r = request("GET", "/", nil)
		r.Header["User-Agent"] = nil
		r.Header["Connection"] = []string{"keep-alive"}
		r.Host = "host.example:8080"
		n.response(rt.RoundTrip(r))
		r = request("GET", "/", nil)
		r.Header["lower"] = []string{"x"}
		r.Header["Nothing"] = nil
		n.response(rt.RoundTrip(r))
	}},
	{name: "invalid requests", handler: dump, do: func(n *transcript, rt http.RoundTripper) {
		for _, pairs := range [][]string{
			{"bad name", "x"}, {"Bad", "a\nb"}, {"Connection", "upgrade"}, {"Upgrade", "h2c"}, {"Transfer-Encoding", "gzip"},
		} {
			spy := &spyBody{Reader: strings.NewReader("x")}
			n.response(rt.RoundTrip(request("POST", "/", spy, pairs...)))
			n.add("closed %d", spy.closes)
		}
		r := request("GET", "/", nil)
		r.Method = "BAD METHOD"
		n.response(rt.RoundTrip(r))
		r = request("GET", "/", nil)
		r.URL.Host = ""
		n.response(rt.RoundTrip(r))
		r = request("GET", "/", nil)
		r.URL.Scheme = "ftp"
		n.response(rt.RoundTrip(r))
		r = request("GET", "/", nil)
		r.URL = nil
		n.response(rt.RoundTrip(r))
		r = request("GET", "/", nil)
		r.Header = nil
		n.response(rt.RoundTrip(r))
		r = request("POST", "/", strings.NewReader("x"))
		r.Trailer = http.Header{"Content-Length": nil}
		n.response(rt.RoundTrip(r))
	}},
	{name: "trailers", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Announced, Never")
		dump(w, r)
		w.Header().Set("Announced", "yes")
		w.Header().Add(http.TrailerPrefix+"Surprise", "1")
		w.Header().Add(http.TrailerPrefix+"Surprise", "2")
	}, do: func(n *transcript, rt http.RoundTripper) {
		for _, b := range []io.Reader{strings.NewReader("x"), streamOnly{strings.NewReader("x")}} {
			r := request("POST", "/", b)
			r.Trailer = http.Header{"One": {"1"}, "Two": nil}
			n.response(rt.RoundTrip(r))
		}
	}},
	{name: "trailers set late", handler: dump, do: func(n *transcript, rt http.RoundTripper) {
		r := request("POST", "/", nil)
		r.Trailer = http.Header{"Sum": nil}
		r.Body = io.NopCloser(&atEOF{strings.NewReader("x"), func() { r.Trailer["Sum"] = []string{"17"} }})
		n.response(rt.RoundTrip(r))
	}},
	{name: "statuses", handler: func(w http.ResponseWriter, r *http.Request) {
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	}, do: func(n *transcript, rt http.RoundTripper) {
		for _, code := range []int{200, 204, 205, 301, 304, 400, 404, 413, 500, 599, 799} {
			n.response(rt.RoundTrip(request("GET", fmt.Sprint("/", code), nil)))
			n.response(rt.RoundTrip(request("HEAD", fmt.Sprint("/", code), nil)))
		}
	}},
	{name: "content-length", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "12345")
	}, do: func(n *transcript, rt http.RoundTripper) {
		n.response(rt.RoundTrip(request("GET", "/", nil)))
		n.response(rt.RoundTrip(request("HEAD", "/", nil)))
	}},
}
