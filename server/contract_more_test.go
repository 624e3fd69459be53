//go:build !nethttpomithttp2

package server

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"
)

func TestContractTrailers(t *testing.T) {
	runScripts(t, []script{
		{"announced", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-A, X-B")
			w.Header().Add("Trailer", "X-C")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-A", "1")
			w.Header().Add("X-B", "2")
			w.Header().Add("X-B", "3")
			w.Header().Set("X-D", "not announced")
		}, roundTrip("GET", "/", "")},
		{"announced, not set", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-A")
			_, _ = io.WriteString(w, "body")
		}, roundTrip("GET", "/", "")},
		{"without body", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-A")
			w.WriteHeader(200)
			w.Header().Set("X-A", "1")
		}, roundTrip("GET", "/", "")},
		{"prefix", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "body")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set(http.TrailerPrefix+"X-A", "1")
			w.Header().Set(http.TrailerPrefix+"grpc-status", "0")
		}, roundTrip("GET", "/", "")},
		{"forbidden", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-A, Content-Length, If-Match")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-A", "1")
			w.Header().Set("If-Match", "x")
			w.Header().Set(http.TrailerPrefix+"Transfer-Encoding", "x")
		}, roundTrip("GET", "/", "")},
		{"request", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			noteHeader(n, "before", r.Trailer)
			_, err := io.Copy(io.Discard, r.Body)
			n.add("read: %v", err)
			noteHeader(n, "after", r.Trailer)
		}, func(n *transcript, s *testServer) {
			r := s.request("POST", "/", strings.NewReader("body"))
			r.ContentLength = -1
			r.Trailer = http.Header{"X-A": {"1"}, "X-B": {"2", "3"}}
			resp, err := s.client.Do(r)
			noteResponse(n, resp, err)
		}},
	})
}

func TestContractInterim(t *testing.T) {
	traced := func(method, body string, adjust ...func(*http.Request)) func(*transcript, *testServer) {
		return func(n *transcript, s *testServer) {
			trace := &httptrace.ClientTrace{
				Got100Continue: func() { n.add("got 100") },
				Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
					n.add("got %d", code)
					noteHeader(n, "interim", http.Header(h))
					return nil
				},
			}
			roundTrip(method, "/", body, append(adjust, func(r *http.Request) {
				*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
			})...)(n, s)
		}
	}
	expect := func(r *http.Request) { r.Header.Set("Expect", "100-continue") }
	runScripts(t, []script{
		{"early hints", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.Header().Set("Content-Length", "2")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Add("Link", "</b.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("X-Final", "1")
			_, _ = io.WriteString(w, "ok")
		}, traced("GET", "")},
		{"continue", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			noteHeader(n, "request", r.Header)
			b, err := io.ReadAll(r.Body)
			n.add("read %q %v", b, err)
			_, _ = w.Write(b)
		}, traced("POST", "body", expect)},
		{"no continue", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(403)
		}, traced("POST", "body", expect)},
		{"continue by hand", func(_ *transcript, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(100)
			_, _ = io.Copy(w, r.Body)
		}, func(n *transcript, s *testServer) {
			// net/http sends a second 100 with the first read, so only the end is compared.
			roundTrip("POST", "/", "body", expect)(n, s)
		}},
	})
}

func TestContractFlush(t *testing.T) {
	runScripts(t, []script{
		{"stream", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			n.add("flush %v", rc.Flush())
			buf := make([]byte, 10)
			for range 3 {
				k, err := io.ReadFull(r.Body, buf[:4])
				n.add("got %q %v", buf[:k], err)
				_, _ = w.Write(buf[:k])
				n.add("flush %v", rc.Flush())
			}
		}, func(n *transcript, s *testServer) {
			pr, pw := io.Pipe()
			resp, err := s.client.Do(s.request("POST", "/", pr))
			if err != nil {
				n.add("%v", err)
				return
			}
			buf := make([]byte, 4)
			for _, m := range []string{"ping", "pong", "last"} {
				_, _ = io.WriteString(pw, m)
				k, err := io.ReadFull(resp.Body, buf)
				n.add("client got %q %v", buf[:k], err)
			}
			_ = pw.Close()
			noteResponse(n, resp, nil)
		}},
		{"flush before write", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "x")
		}, roundTrip("GET", "/", "")},
		{"flush after write", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
		}, roundTrip("GET", "/", "")},
		{"flush on HEAD", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "y")
		}, roundTrip("HEAD", "/", "")},
		{"flush on 204", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			w.(http.Flusher).Flush()
		}, roundTrip("GET", "/", "")},
	})
}

func TestContractAbort(t *testing.T) {
	runScripts(t, []script{
		{"panic", func(*transcript, http.ResponseWriter, *http.Request) { panic("oh") }, func(n *transcript, s *testServer) {
			roundTrip("GET", "/", "")(n, s)
			synctest.Wait()
			n.add("logged %t", strings.Contains(s.log.String(), "oh\n"))
		}},
		{
			"ErrAbortHandler", func(*transcript, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			func(n *transcript, s *testServer) {
				roundTrip("GET", "/", "")(n, s)
				n.add("logged %q", s.log.String())
			},
		},
		{"panic after flush", func(_ *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, roundTrip("GET", "/", "")},
		{"max bytes", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 10)
			b, err := io.ReadAll(r.Body)
			var mbe *http.MaxBytesError
			n.add("%q %t", b, errors.As(err, &mbe))
			http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		}, roundTrip("POST", "/", strings.Repeat("x", 100_000))},
	})
}

func TestContractDeadlines(t *testing.T) {
	never := func(n *transcript, s *testServer) {
		pr, pw := io.Pipe()
		resp, err := s.client.Do(s.request("POST", "/", pr))
		noteResponse(n, resp, err)
		_ = pw.Close()
	}
	runScripts(t, []script{
		{"read", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			n.add("set %v", http.NewResponseController(w).SetReadDeadline(start.Add(time.Second)))
			_, err := r.Body.Read(make([]byte, 1))
			n.add("%t after %v", errors.Is(err, os.ErrDeadlineExceeded), time.Since(start))
			_, _ = io.WriteString(w, "too slow")
		}, never},
		{"read, in the past", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			n.add("set %v", http.NewResponseController(w).SetReadDeadline(time.Now().Add(-1)))
			_, err := r.Body.Read(make([]byte, 1))
			n.add("%t", errors.Is(err, os.ErrDeadlineExceeded))
		}, never},
		{"write", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			start := time.Now()
			n.add("set %v", http.NewResponseController(w).SetWriteDeadline(start.Add(time.Second)))
			_, err := io.Copy(w, zeros(0))
			n.add("%t after %v", errors.Is(err, os.ErrDeadlineExceeded), time.Since(start))
		}, func(n *transcript, s *testServer) {
			resp, err := s.client.Get(testServerURL)
			if err != nil {
				n.add("%v", err)
				return
			}
			time.Sleep(2 * time.Second) // the window fills up
			_, err = io.Copy(io.Discard, resp.Body)
			n.add("client error %t", err != nil)
		}},
		{"full duplex", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			n.add("%v", http.NewResponseController(w).EnableFullDuplex())
		}, roundTrip("GET", "/", "")},
		{"interfaces", func(n *transcript, w http.ResponseWriter, _ *http.Request) {
			_, _, err := http.NewResponseController(w).Hijack()
			n.add("hijack %v", err)
			n.add("push %v", w.(http.Pusher).Push("/x", nil))
			_, isHijacker := w.(http.Hijacker)
			n.add("hijacker %t", isHijacker)
		}, roundTrip("GET", "/", "")},
	})
}

// multipartForm is a form with a file.
func multipartForm() (form, contentType string) {
	var b bytes.Buffer
	mp := multipart.NewWriter(&b)
	part, _ := mp.CreateFormFile("file", "name.bin") // writing to memory never fails
	_, _ = part.Write(make([]byte, 50_000))
	_ = mp.WriteField("field", "value")
	_ = mp.Close()
	return b.String(), mp.FormDataContentType()
}

func TestContractHandlers(t *testing.T) {
	files := http.FileServerFS(fstest.MapFS{
		"a.txt": {Data: bytes.Repeat([]byte("0123456789"), 1000)},
		"b.css": {Data: []byte("p {}")},
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.PathValue("id")+" "+r.Pattern)
	})
	timeout := http.TimeoutHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	}), time.Second, "slow")
	via := func(h http.Handler) func(*transcript, http.ResponseWriter, *http.Request) {
		return func(_ *transcript, w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) }
	}
	upload, contentType := multipartForm()
	runScripts(t, []script{
		{"file", via(files), roundTrip("GET", "/a.txt", "")},
		{"file HEAD", via(files), roundTrip("HEAD", "/a.txt", "")},
		{"range", via(files), roundTrip("GET", "/a.txt", "", func(r *http.Request) { r.Header.Set("Range", "bytes=10-19") })},
		{"small file", via(files), roundTrip("GET", "/b.css", "")},
		{"missing file", via(files), roundTrip("GET", "/c", "")},
		{"mux", via(mux), roundTrip("GET", "/items/17", "")},
		{"mux method", via(mux), roundTrip("POST", "/items/17", "x")},
		{"redirect", via(http.RedirectHandler("/b.css", http.StatusFound)), func(n *transcript, s *testServer) {
			resp, err := s.client.Transport.RoundTrip(s.request("GET", "/", nil))
			noteResponse(n, resp, err)
		}},
		{"timeout", via(timeout), roundTrip("GET", "/", "")},
		{"max bytes handler", via(http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				http.Error(w, err.Error(), 413)
			}
		}), 10)), roundTrip("POST", "/", strings.Repeat("x", 1000))},
		{"multipart", func(n *transcript, _ http.ResponseWriter, r *http.Request) {
			n.add("%v", r.ParseMultipartForm(1000))
			f, h, err := r.FormFile("file")
			n.add("%s %d %v %q", h.Filename, h.Size, err, r.FormValue("field"))
			_ = f.Close()
		}, roundTrip("POST", "/", upload, func(r *http.Request) {
			r.Header.Set("Content-Type", contentType)
		})},
		{"two at once", func(n *transcript, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(time.Second)
			}
			_, _ = io.WriteString(w, r.URL.Path)
		}, func(n *transcript, s *testServer) {
			slow := make(chan struct{})
			go func() {
				defer close(slow)
				roundTrip("GET", "/slow", "")(n, s)
			}()
			synctest.Wait()
			roundTrip("GET", "/fast", "")(n, s)
			<-slow
		}},
	})
}
