//go:build !nethttpomithttp2

package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing/synctest"
	"time"
)

var moreScripts = []script{
	{name: "gzip", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Asked", r.Header.Get("Accept-Encoding"))
		if r.URL.Path == "/plain" {
			_, _ = io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		if r.URL.Path == "/bad" {
			_, _ = io.WriteString(w, "not gzip")
			return
		}
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		_, _ = io.WriteString(zw, strings.Repeat("compressed ", 1000))
		_ = zw.Close()
		w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
		w.Header().Set("Trailer", "T")
		_, _ = w.Write(b.Bytes())
		w.Header().Set("T", "after")
	}, do: func(n *transcript, rt http.RoundTripper) {
		for range 2 {
			n.response(rt.RoundTrip(request("GET", "/", nil)))
		}
		n.response(rt.RoundTrip(request("HEAD", "/", nil)))
		n.response(rt.RoundTrip(request("GET", "/plain", nil)))
		n.response(rt.RoundTrip(request("GET", "/bad", nil)))
		n.response(rt.RoundTrip(request("GET", "/plain", nil, "Range", "bytes=0-1")))
		resp, err := rt.RoundTrip(request("GET", "/", nil))
		if err == nil {
			n.error("Close", resp.Body.Close())
			_, err = resp.Body.Read(make([]byte, 1))
			n.add("after Close: %v", err != nil)
		}
	}},
	{
		name:    "gzip off",
		adjust:  func(t *http.Transport) { t.DisableCompression = true },
		handler: dump,
		do: func(n *transcript, rt http.RoundTripper) {
			n.response(rt.RoundTrip(request("GET", "/", nil)))
		},
	},
	{name: "interim responses", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(103)
		w.WriteHeader(102)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "done")
	}, do: func(n *transcript, rt http.RoundTripper) {
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			n.add("interim %d %v", code, h["Link"])
			return nil
		}}
		n.response(rt.RoundTrip(request("GET", "/", nil).WithContext(httptrace.WithClientTrace(context.Background(), trace))))
		trace = &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { return errScript }}
		_, err := rt.RoundTrip(request("GET", "/", nil).WithContext(httptrace.WithClientTrace(context.Background(), trace)))
		n.add("refused: %v", err != nil)
	}},
	{
		name:   "expect",
		adjust: func(t *http.Transport) { t.ExpectContinueTimeout = time.Minute },
		handler: func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/no":
				w.WriteHeader(417)
				return
			case "/late":
				time.Sleep(2 * time.Minute)
			}
			dump(w, r)
		},
		do: func(n *transcript, rt http.RoundTripper) {
			for _, path := range []string{"/yes", "/no", "/late"} {
				start := time.Now()
				// Which of the two is called first is open: the answer may come before the request
				// has noted that it waits.
				var waits atomic.Int32
				var goesOn atomic.Int64
				trace := &httptrace.ClientTrace{
					Wait100Continue: func() { waits.Add(1) }, Got100Continue: func() { goesOn.Store(1 + int64(time.Since(start))) },
				}
				spy := &spyBody{Reader: strings.NewReader("body")}
				r := request(
					"POST",
					path,
					spy,
					"Expect",
					"100-continue",
				).WithContext(httptrace.WithClientTrace(context.Background(), trace))
				n.response(rt.RoundTrip(r))
				n.add("%s took %v", path, time.Since(start))
				synctest.Wait()
				n.add("waits %d, goes on %d, closed %d", waits.Load(), goesOn.Load(), spy.closes)
			}
		},
	},
	{
		name:   "header timeout",
		adjust: func(t *http.Transport) { t.ResponseHeaderTimeout = time.Minute },
		handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if r.URL.Path == "/slow" {
				time.Sleep(2 * time.Minute)
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(2 * time.Minute)
			_, _ = io.WriteString(w, "body")
		},
		do: func(n *transcript, rt http.RoundTripper) {
			for _, path := range []string{"/slow", "/body"} {
				start := time.Now()
				n.response(rt.RoundTrip(request("GET", path, nil)))
				n.add("%s took %v", path, time.Since(start))
				n.response(rt.RoundTrip(request("POST", path, &slowReader{n: 3, each: 50 * time.Second})))
				n.add("%s took %v", path, time.Since(start))
			}
		},
	},
	{
		name:   "large header",
		adjust: func(t *http.Transport) { t.MaxResponseHeaderBytes = 4000 },
		handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Large", strings.Repeat("x", 5000))
		},
		do: func(n *transcript, rt http.RoundTripper) { n.response(rt.RoundTrip(request("GET", "/", nil))) },
	},
	{name: "handler aborts", handler: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Second)
		}
		panic(http.ErrAbortHandler)
	}, do: func(n *transcript, rt http.RoundTripper) {
		n.response(rt.RoundTrip(request("GET", "/head", nil)))
		n.response(rt.RoundTrip(request("GET", "/body", nil)))
	}},
	{name: "cancel", handler: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
		}
		<-r.Context().Done()
	}, do: func(n *transcript, rt http.RoundTripper) {
		for _, path := range []string{"/head", "/body"} {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			n.response(rt.RoundTrip(request("GET", path, nil).WithContext(ctx)))
			cancel()
			ctx, cancel = context.WithCancel(context.Background())
			time.AfterFunc(time.Second, cancel)
			n.response(rt.RoundTrip(request("GET", path, nil).WithContext(ctx)))
		}
	}},
	{name: "read after close", handler: dump, do: func(n *transcript, rt http.RoundTripper) {
		resp, err := rt.RoundTrip(request("GET", "/", nil))
		if err != nil {
			n.error("RoundTrip", err)
			return
		}
		n.error("Close", resp.Body.Close())
		_, err = resp.Body.Read(make([]byte, 1))
		n.add("read after Close fails: %v", err != nil && err != io.EOF)
		n.error("second Close", resp.Body.Close())
	}},
	{name: "Response.Request", handler: dump, do: func(n *transcript, rt http.RoundTripper) {
		r := request("POST", "/", strings.NewReader("x"))
		resp, err := rt.RoundTrip(r)
		if err == nil {
			n.add("same request: %v", resp.Request == r)
			_ = resp.Body.Close()
		}
	}},
	{name: "cookies of crumbs", handler: func(w http.ResponseWriter, r *http.Request) {
		for _, c := range r.Cookies() {
			_, _ = fmt.Fprintf(w, "%s=%s\n", c.Name, c.Value)
		}
		http.SetCookie(w, &http.Cookie{Name: "late", Value: "x"})
	}, do: func(n *transcript, rt http.RoundTripper) {
		n.response(rt.RoundTrip(request("GET", "/", nil, "Cookie", "a=1;b=2;  c=3; d", "Cookie", "e=5")))
	}},
}
