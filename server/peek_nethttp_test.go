//go:build !nethttpomithttp2

package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestFirstOctetsLikeNetHTTP: pipelined requests, PRI as the method of HTTP/1.1, clients that
// half-close, and what is no request see what they see with net/http.
func TestFirstOctetsLikeNetHTTP(t *testing.T) {
	const end = " HTTP/1.1\r\nHost: example.test\r\n"
	for _, send := range []string{
		"GET /1" + end + "\r\nGET /2" + end + "\r\nPOST /3" + end + "Content-Length: 4\r\n\r\nbody",
		"PRI /" + end + "\r\n",
		"PRI *" + end + "\r\n",
		"P /" + end + "\r\n",
		"PRI * HTTP/1.0\r\n\r\n",
		"GET /" + strings.Repeat("a", 6000) + end + "\r\n",
		"GET /",
		"GET / HTTP/1.1\r\nHost: exam",
		"G",
		"",
	} {
		t.Run(fmt.Sprintf("%.20q", send), func(t *testing.T) {
			likeNetHTTP(t, func(t *testing.T, kind string, write func(net.Conn, string)) string {
				n := &transcript{}
				nc := listenKind(t, kind, func(w http.ResponseWriter, r *http.Request) {
					b, err := io.ReadAll(r.Body)
					n.add("%s %s %s %q %v", r.Method, r.RequestURI, r.Proto, b, err)
					_, _ = io.WriteString(w, r.URL.Path)
				})()
				defer nc.Close()
				write(nc, send)
				_ = nc.(*net.TCPConn).CloseWrite()
				b, err := io.ReadAll(nc)
				text := regexp.MustCompile(`Date: .*GMT`).ReplaceAllString(string(b), "")
				return fmt.Sprintf("%q, %v, %q", text, err, n.list)
			})
		})
	}
}
