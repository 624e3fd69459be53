//go:build !nethttpomithttp2

package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// likeNetHTTP runs a script against a handler of HTTP/1.1 on TCP, served by net/http and by a
// Server, and wants them to see the same. write sends as the script's client does.
func likeNetHTTP(t *testing.T, script func(t *testing.T, kind string, write func(nc net.Conn, s string)) string) {
	t.Helper()
	for name, write := range map[string]func(nc net.Conn, s string){
		"at once": func(nc net.Conn, s string) { _, _ = io.WriteString(nc, s) },
		"octets first": func(nc net.Conn, s string) {
			for len(s) > 0 && s[0] != '\n' {
				_, _ = io.WriteString(nc, s[:1])
				s = s[1:]
			}
			_, _ = io.WriteString(nc, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := script(t, kindNetHTTP, write)
			if got := script(t, kindServer, write); got != want {
				t.Errorf("it is\n%s\nwith net/http\n%s", got, want)
			}
		})
	}
}

// TestMaxBytesReaderCloses: a body beyond the limit of http.MaxBytesReader has net/http say
// "Connection: close" and close the connection, even where little is left of it.
func TestMaxBytesReaderCloses(t *testing.T) {
	const limit = 1 << 20
	for _, size := range []int{limit, limit + 10, 2 * limit} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d chunked %t", size, chunked), func(t *testing.T) {
				likeNetHTTP(t, func(t *testing.T, kind string, write func(net.Conn, string)) string {
					dial := listenKind(t, kind, func(w http.ResponseWriter, r *http.Request) {
						n, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, limit))
						if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
							http.Error(w, fmt.Sprintf("%d, %v", n, err), http.StatusRequestEntityTooLarge)
						}
					})
					nc := dial()
					defer nc.Close()
					body, head := strings.Repeat("b", size), fmt.Sprintf("Content-Length: %d\r\n\r\n", size)
					if chunked {
						body, head = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, body), "Transfer-Encoding: chunked\r\n\r\n"
					}
					const second = "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
					go write(nc, "POST /upload HTTP/1.1\r\nHost: example.test\r\n"+head+body+second)
					return twoResponses(nc)
				})
			})
		}
	}
}

// twoResponses returns what comes until the connection ends, or rests after two responses.
func twoResponses(nc net.Conn) string {
	var b strings.Builder
	r := bufio.NewReader(nc)
	for range 2 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return b.String() + "closed" // by a reset, perhaps
		}
		text, err := io.ReadAll(resp.Body)
		fmt.Fprintf(&b, "%s, close %t, %q, %v\n", resp.Status, resp.Close, text, err)
	}
	return b.String() + "open"
}

// TestResponseWriterOfHTTP1: what a handler of HTTP/1.1 can do with its ResponseWriter.
func TestResponseWriterOfHTTP1(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("of a file\n", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	likeNetHTTP(t, func(t *testing.T, kind string, write func(net.Conn, string)) string {
		n := &transcript{}
		dial := listenKind(t, kind, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hijack" {
				nc, rw, err := http.NewResponseController(w).Hijack()
				n.add("hijacked %T, %v", nc, err)
				if err != nil {
					return
				}
				defer nc.Close()
				b := make([]byte, len("ahead"))
				_, err = io.ReadFull(rw, b)
				n.add("%q, %v", b, err)
				_, _ = io.Copy(nc, strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
				return
			}
			noteAbilities(n, w)
			f, err := os.Open(file)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			m, err := io.Copy(w, f)
			n.add("%d, %v", m, err)
		})
		for _, path := range []string{"/", "/hijack"} {
			nc := dial()
			write(nc, "GET "+path+" HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\nahead")
			b, err := io.ReadAll(nc)
			if err != nil {
				t.Error(err)
			}
			_, text, _ := strings.Cut(string(b), "\r\n\r\n")
			n.add("%d octets %.10q", len(text), text)
			_ = nc.Close()
		}
		return fmt.Sprint(n.list)
	})
}

// noteAbilities adds to the transcript which methods w has, and what those of
// http.ResponseController return.
func noteAbilities(n *transcript, w http.ResponseWriter) {
	_, flusher := w.(http.Flusher)
	_, hijacker := w.(http.Hijacker)
	_, readerFrom := w.(io.ReaderFrom)
	_, stringWriter := w.(io.StringWriter)
	_, closeNotifier := w.(http.CloseNotifier) //nolint:staticcheck // programs still ask for it
	_, pusher := w.(http.Pusher)
	n.add("%t %t %t %t %t %t", flusher, hijacker, readerFrom, stringWriter, closeNotifier, pusher)
	c, at := http.NewResponseController(w), time.Now().Add(time.Hour)
	n.add("%v %v %v", c.SetReadDeadline(at), c.SetWriteDeadline(at), c.EnableFullDuplex())
	w.Header().Set("Trailer", "X-T")
	n.add("%v", c.Flush())
}
