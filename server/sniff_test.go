package server

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// What is neither the preface nor a request line of HTTP/1.1 is not answered in either protocol.
func TestNeitherProtocol(t *testing.T) {
	for _, send := range []string{
		"hello\r\n\r\n", "INVALID CONNECTION PREFACE\r\n\r\n", "GET /\r\n", "\n", "P\r\n", "PRI * HTTP/1\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			var st states
			srv := serving(okHandler)
			srv.ConnState = st.note
			client, server := memconn.Connect(clearLink(t))
			go srv.ServeConn(server)
			_, _ = io.WriteString(client, send)
			if got, _ := io.ReadAll(client); len(got) > 0 {
				t.Errorf("%q: %q", send, got)
			}
			synctest.Wait()
			st.want(t, "0 new", "0 closed")
			_ = client.Close()
		})
	}
}

var protocolsOverTLSTests = []struct {
	h1, h2 bool
	alpn   []string // of the client
	send   string
	want   string // what the answer contains; "": the connection is closed without one
}{
	{false, true, nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	{false, true, []string{"http/1.1"}, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	{false, true, []string{"h2"}, frame.Preface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x04\x01\x00\x00\x00\x00"},
	{true, false, []string{"h2"}, frame.Preface, ""},
	{true, false, nil, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK"},
	{true, false, []string{"http/1.1"}, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 OK"},
}

// A protocol that is not in the set is not spoken, whatever ALPN has agreed on and wherever it was
// offered.
func TestProtocolsOverTLS(t *testing.T) {
	cert, err := selfsigned.Certificate("example.com")
	if err != nil {
		t.Fatal(err)
	}
	offer := func(protos ...string) *tls.Config { // whatever the set is
		return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: protos}, nil
		}}
	}
	for _, c := range protocolsOverTLSTests {
		for _, kind := range []string{"Server", "Configure"} {
			t.Run(fmt.Sprint(kind, c.h1, c.h2, c.alpn), func(t *testing.T) {
				var p http.Protocols
				p.SetHTTP1(c.h1)
				p.SetHTTP2(c.h2)
				l := memconn.Listen(clearLink(t))
				cfg := offer("h2", "http/1.1")
				if kind == "Server" {
					srv := serving(okHandler)
					srv.Protocols, srv.TLSConfig = &p, cfg
					go srv.ServeTLS(l, "", "")
					defer srv.Close()
				} else {
					hs := &http.Server{Handler: http.HandlerFunc(okHandler), Protocols: &p, TLSConfig: cfg}
					if err := Configure(hs, nil); err != nil {
						t.Fatal(err)
					}
					go hs.ServeTLS(l, "", "")
					defer hs.Close()
				}
				raw, err := l.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				nc := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: c.alpn})
				defer nc.Close()
				_, _ = io.WriteString(nc, c.send)
				var got []byte
				buf := make([]byte, 4096)
				for err = nil; err == nil && (c.want == "" || !strings.Contains(string(got), c.want)); {
					var n int
					n, err = nc.Read(buf)
					got = append(got, buf[:n]...)
				}
				if c.want == "" && len(got) > 0 || !strings.Contains(string(got), c.want) {
					t.Errorf("%q, %v; want %q", got, err, c.want)
				}
			})
		}
	}
}

// ReadHeaderTimeout counts once, from the first octet on, however much of it has passed before the
// protocol is known.
func TestReadHeaderTimeoutCountsOnce(t *testing.T) {
	needsHTTP1(t)
	for _, set := range []func(*Server){
		func(s *Server) { s.ReadHeaderTimeout = 3 * time.Second },
		func(s *Server) { s.ReadTimeout = 3 * time.Second },
		func(s *Server) { s.ReadHeaderTimeout, s.ReadTimeout = 3*time.Second, time.Hour },
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := serving(okHandler)
			set(srv)
			client, server := memconn.Connect(clearLink(t))
			start := time.Now()
			go srv.ServeConn(server)
			_, _ = io.WriteString(client, "P")
			time.Sleep(2 * time.Second)
			_, _ = io.WriteString(client, "OST / HTTP/1.1\r\nHost")
			_, _ = io.ReadAll(client)
			if d := time.Since(start); d != 3*time.Second {
				t.Errorf("closed after %v", d)
			}
			_ = client.Close()
		})
	}
	synctest.Test(t, func(t *testing.T) { // and only for the first request
		srv := serving(okHandler)
		srv.ReadHeaderTimeout = 3 * time.Second
		client, server := memconn.Connect(clearLink(t))
		go srv.ServeConn(server)
		for range 3 {
			_, _ = io.WriteString(client, "GET ")
			time.Sleep(2 * time.Second)
			if got := http1(t, client, "/ HTTP/1.1\r\nHost: a\r\n\r\n"); got != "200 OK ok HTTP/1.1" {
				t.Error(got)
			}
			time.Sleep(time.Minute)
		}
		_ = client.Close()
		synctest.Wait()
	})
}
