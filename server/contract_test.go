//go:build !nethttpomithttp2

package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// script is a handler and a client, and what the two see is noted. It runs against net/http's own
// HTTP/2 and against this package, and must see the same.
type script struct {
	name    string
	handler func(n *transcript, w http.ResponseWriter, r *http.Request)
	client  func(n *transcript, s *testServer)
}

// runScripts runs scripts against all kinds of servers.
func runScripts(t *testing.T, scripts []script) {
	for _, sc := range scripts {
		t.Run(sc.name, func(t *testing.T) {
			seen := map[string][]string{}
			for _, kind := range []string{kindNetHTTP, kindServer, kindConfigure} {
				synctest.Test(t, func(t *testing.T) {
					n := &transcript{}
					s := newTestServer(t, kind, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						sc.handler(n, w, r)
					}))
					sc.client(n, s)
					synctest.Wait()
					s.stop()
					slices.Sort(n.list) // client and handler run side by side
					seen[kind] = n.list
				})
			}
			for _, kind := range []string{kindServer, kindConfigure} {
				if d := cmp.Diff(seen[kindNetHTTP], seen[kind]); d != "" {
					t.Errorf("what is seen (-net/http +%s):\n%s", kind, d)
				}
			}
		})
	}
}

// noteHeader adds a header map to the transcript, in a fixed order and without Date.
func noteHeader(n *transcript, what string, h http.Header) {
	for _, k := range slices.Sorted(maps.Keys(h)) {
		if k != "Date" {
			n.add("%s %s: %q", what, k, h[k])
		}
	}
}

// noteResponse reads a response and adds all of it to the transcript.
func noteResponse(n *transcript, resp *http.Response, err error) {
	if err != nil {
		n.add("client: error")
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if len(body) > 100 {
		n.add("response %s %s: %d octets, error %t", resp.Proto, resp.Status, len(body), err != nil)
	} else {
		n.add("response %s %s: %q, error %t", resp.Proto, resp.Status, body, err != nil)
	}
	n.add("response length %d", resp.ContentLength)
	noteHeader(n, "response", resp.Header)
	noteHeader(n, "trailer", resp.Trailer)
}

// roundTrip makes a client that sends one request and adds the response to the transcript.
func roundTrip(method, path, body string, adjust ...func(*http.Request)) func(*transcript, *testServer) {
	return func(n *transcript, s *testServer) {
		var rd io.Reader
		if body != "" {
			rd = strings.NewReader(body)
		}
		r := s.request(method, path, rd)
		for _, f := range adjust {
			f(r)
		}
		resp, err := s.client.Do(r)
		noteResponse(n, resp, err)
	}
}

func TestContractBodies(t *testing.T) {
	write := func(parts ...string) func(*transcript, http.ResponseWriter, *http.Request) {
		return func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			for _, p := range parts {
				k, err := io.WriteString(w, p)
				n.add("wrote %d, error %t", k, err != nil)
			}
		}
	}
	large := strings.Repeat("0123456789", 10_000)
	runScripts(t, []script{
		{"small", write("hello"), roundTrip("GET", "/", "")},
		{"empty", write(), roundTrip("GET", "/", "")},
		{"empty write", write(""), roundTrip("GET", "/", "")},
		{"parts", write("a", "b", "<html>"), roundTrip("GET", "/", "")},
		{"html", write("<html><body>"), roundTrip("GET", "/", "")},
		{"exactly the buffer", write(large[:4096]), roundTrip("GET", "/", "")},
		{"one more than the buffer", write(large[:4096], "x"), roundTrip("GET", "/", "")},
		{"large", write(large), roundTrip("GET", "/", "")},
		{"small then large", write("\x89PNG\r\n\x1a\n", large), roundTrip("GET", "/", "")},
		{"HEAD small", write("hello"), roundTrip("HEAD", "/", "")},
		{"HEAD empty", write(), roundTrip("HEAD", "/", "")},
		{"HEAD large", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, large) // net/http gives an error, though it takes less in HTTP/1.1
		}, roundTrip("HEAD", "/", "")},
		{"io.Copy", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			k, err := io.Copy(w, io.LimitReader(strings.NewReader(large), 90_000))
			n.add("copied %d, %v", k, err)
		}, roundTrip("GET", "/", "")},
		{"io.Copy short", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			k, err := io.Copy(w, io.LimitReader(strings.NewReader(large), 9))
			n.add("copied %d, %v", k, err)
		}, roundTrip("GET", "/", "")},
		{"echo", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			n.add("length %d", r.ContentLength)
			k, err := io.Copy(w, r.Body)
			n.add("copied %d, %v", k, err)
			k2, err := r.Body.Read(make([]byte, 1))
			n.add("again %d, %v", k2, err)
		}, roundTrip("POST", "/", large)},
		{"unknown length", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			n.add("length %d", r.ContentLength)
			b, err := io.ReadAll(r.Body)
			n.add("read %q, %v", b, err)
		}, roundTrip("POST", "/", "hello", func(r *http.Request) { r.ContentLength = -1 })},
		{"unread body", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "no thanks")
		}, roundTrip("POST", "/", strings.Repeat(large, 20))},
		{"closed body", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			n.add("close %v", r.Body.Close())
			_, err := r.Body.Read(make([]byte, 1))
			n.add("read error %t", err != nil)
			_, _ = io.WriteString(w, "no thanks")
		}, roundTrip("POST", "/", large)},
		{"no body", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			n.add("length %d, %q, %v", r.ContentLength, b, err)
		}, roundTrip("GET", "/", "")},
	})
}

// status is a handler that sends a status, fields and a body.
func status(code int, body string, header ...string) func(*transcript, http.ResponseWriter, *http.Request) {
	return func(n *transcript, w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		w.WriteHeader(code)
		w.WriteHeader(500) // too late
		w.Header().Set("X-Late", "1")
		if body != "" {
			_, err := io.WriteString(w, body)
			n.add("write: %v", err)
		}
	}
}

func TestContractStatus(t *testing.T) {
	runScripts(t, []script{
		{"404", status(404, "gone"), roundTrip("GET", "/", "")},
		{"204", status(204, ""), roundTrip("GET", "/", "")},
		{"204 with body", status(204, "x"), roundTrip("GET", "/", "")},
		{"304", status(304, "", "Etag", `"a"`), roundTrip("GET", "/", "")},
		{"304 with body", status(304, "x"), roundTrip("GET", "/", "")},
		{"304 with length", status(304, "", "Content-Length", "5"), roundTrip("GET", "/", "")},
		{"999", status(999, "x"), roundTrip("GET", "/", "")},
		{"length", status(200, "hello", "Content-Length", "5"), roundTrip("GET", "/", "")},
		{"length on HEAD", status(200, "", "Content-Length", "5"), roundTrip("HEAD", "/", "")},
		{"bad length", status(200, "hello", "Content-Length", "x"), roundTrip("GET", "/", "")},
		{"short body", status(200, "hell", "Content-Length", "5"), roundTrip("GET", "/", "")},
		{"type", status(200, "<html>", "Content-Type", "text/plain"), roundTrip("GET", "/", "")},
		{"encoded", status(200, "<html>", "Content-Encoding", "x"), roundTrip("GET", "/", "")},
		{"no encoding", status(200, "<html>", "Content-Encoding", ""), roundTrip("GET", "/", "")},
	})
}

func TestContractHeader(t *testing.T) {
	runScripts(t, []script{
		{"connection-specific", status(200, "x", "Keep-Alive", "1", "X-Ok", "1"), func(n *transcript, s *testServer) {
			// net/http lets Keep-Alive through, which its own client refuses: nothing to compare
			// but X-Ok.
			resp, err := s.client.Get(testServerURL)
			if err == nil {
				n.add("%s", resp.Header.Get("X-Ok"))
			}
		}},
		{
			"fields", status(200, "", "X-A", "1", "X-A", "2", "x-lower", "v", "Set-Cookie", "a=b", "Set-Cookie", "c=d"),
			roundTrip("GET", "/", ""),
		},
		{
			"invalid fields", status(200, "", "X A", "1", "X-B", "a\nb", ":status", "99", "X-C", "ok", "X-\u00e4", "1"),
			roundTrip("GET", "/", ""),
		},
		{"panics on invalid code", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			defer func() { n.add("panic %v", recover()) }()
			w.WriteHeader(99)
		}, roundTrip("GET", "/", "")},
		{"no type, no date", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Header()["Date"] = nil
			_, _ = io.WriteString(w, "<html>")
		}, func(n *transcript, s *testServer) {
			resp, err := s.client.Get(testServerURL)
			if err != nil {
				n.add("%v", err)
				return
			}
			_, date := resp.Header["Date"]
			n.add("date %t", date)
			noteResponse(n, resp, nil)
		}},
		{"own date", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", "yesterday")
		}, func(n *transcript, s *testServer) {
			resp, err := s.client.Get(testServerURL)
			if err != nil {
				n.add("%v", err)
				return
			}
			n.add("date %q", resp.Header["Date"])
		}},
	})
}

func TestContractRequest(t *testing.T) {
	note := func(n *transcript, _ http.ResponseWriter, r *http.Request) {
		n.add("%s %s %s %d.%d", r.Method, r.RequestURI, r.Proto, r.ProtoMajor, r.ProtoMinor)
		n.add("URL %#v", *r.URL)
		n.add("host %q, remote %q, TLS %t, close %t", r.Host, r.RemoteAddr, r.TLS != nil, r.Close)
		noteHeader(n, "request", r.Header)
		for _, c := range r.Cookies() {
			n.add("cookie %s=%s", c.Name, c.Value)
		}
		n.add("form %v %v", r.ParseForm(), r.Form)
		_, isServer := r.Context().Value(http.ServerContextKey).(*http.Server)
		n.add("server %t, local %v", isServer, r.Context().Value(http.LocalAddrContextKey))
		n.add("context %v", r.Context().Err())
	}
	header := func(kv ...string) func(*http.Request) {
		return func(r *http.Request) {
			for i := 0; i < len(kv); i += 2 {
				r.Header.Add(kv[i], kv[i+1])
			}
		}
	}
	many := func(r *http.Request) {
		for i := range 40 {
			r.Header.Add(fmt.Sprintf("X-%d", i), fmt.Sprint(i))
			r.Header.Add("X-Same", fmt.Sprint(i))
		}
	}
	runScripts(t, []script{
		{"plain", note, roundTrip("GET", "/a/b", "")},
		{"query", note, roundTrip("GET", "/a?b=c&d=e%20f", "")},
		{"empty query", note, roundTrip("GET", "/a?", "")},
		{"escapes", note, roundTrip("GET", "/a%2Fb%20c/%C3%A4", "")},
		{"double slash", note, roundTrip("GET", "//a//b", "")},
		{
			"fields",
			note,
			roundTrip("GET", "/", "", header("X-A", "1", "X-A", "2", "Accept-Language", "de", "x-weird_name", "3")),
		},
		{"many fields", note, roundTrip("GET", "/", "", many)},
		{"cookies", note, roundTrip("GET", "/", "", header("Cookie", "a=b; c=d", "Cookie", "e=f"))},
		{"host", note, roundTrip("GET", "/", "", func(r *http.Request) { r.Host = "other.test:81" })},
		{"method", note, roundTrip("PROPFIND", "/", "")},
		{"form", note, roundTrip("POST", "/?a=b", "c=d&e=f", header("Content-Type", "application/x-www-form-urlencoded"))},
		{"trailer announced", note, roundTrip("POST", "/", "x", func(r *http.Request) {
			r.ContentLength = -1
			r.Trailer = http.Header{"X-T": nil}
		})},
		{"mutable header", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			// Appending to one field must not write into another.
			r.Header["X-A"] = append(r.Header["X-A"], "more")
			r.Header.Add("X-B", "more")
			noteHeader(n, "request", r.Header)
		}, roundTrip("GET", "/", "", header("X-A", "1", "X-B", "2", "X-C", "3"))},
	})
}

func TestContractContext(t *testing.T) {
	runScripts(t, []script{
		{"cancelled by the client", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			n.add("%v", r.Context().Err())
		}, cancelled},
		{"derived", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			type key struct{}
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), key{}, 1))
			defer cancel()
			<-ctx.Done()
			n.add("%v %v", ctx.Err(), ctx.Value(key{}))
		}, cancelled},
		{"ends with the handler", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			context.AfterFunc(r.Context(), func() { n.add("over: %v", r.Context().Err()) })
			n.add("before: %v", r.Context().Err())
		}, roundTrip("GET", "/", "")},
		{"CloseNotify", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			n.add("%t", <-w.(http.CloseNotifier).CloseNotify()) //nolint:staticcheck // part of the contract
		}, cancelled},
		{"write after cancel", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			_, err := w.Write(make([]byte, 10_000))
			n.add("write error %t", err != nil)
			n.add("flush error %t", http.NewResponseController(w).Flush() != nil)
		}, cancelled},
	})
}

// cancelled sends a request and gives up while the handler runs.
func cancelled(n *transcript, s *testServer) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		resp, err := s.client.Do(s.request("GET", "/", nil).WithContext(ctx))
		n.add("client: %t %t", resp == nil, errors.Is(err, context.Canceled))
	}()
	synctest.Wait()
	cancel()
	<-done
}
