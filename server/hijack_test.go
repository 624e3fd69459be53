//go:build !nethttpomithttp2

package server

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// Hijack over HTTP/1.1 gives the listener's connection, and what was read ahead of it in the
// Reader.
func TestHijackGivesListenersConn(t *testing.T) {
	const ahead = "what the client sends ahead"
	for _, kind := range []string{kindServer, kindNetHTTP} {
		t.Run(kind, func(t *testing.T) {
			dial := listenKind(t, kind, func(w http.ResponseWriter, _ *http.Request) {
				nc, rw, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer nc.Close()
				if _, ok := nc.(*net.TCPConn); !ok {
					t.Errorf("the connection is a %T", nc)
				}
				b := make([]byte, len(ahead))
				if _, err := io.ReadFull(rw, b); err != nil || string(b) != ahead {
					t.Errorf("%q, %v", b, err)
				}
				_, _ = rw.WriteString("answer")
				_ = rw.Flush()
			})
			nc := dial()
			defer nc.Close()
			if _, err := io.WriteString(nc, "GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"+ahead); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(nc); string(b) != "answer" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}
