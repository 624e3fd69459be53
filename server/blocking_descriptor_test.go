package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

const blockingChild = "SLUICE_TEST_BLOCKING_CHILD"

// File and Fd of a connection have its descriptor block. That must not stop the process: not when a
// connection waits for its peer, and not when a peer does not read. A process of its own runs it,
// since one that stands still cannot end the test.
func TestBlockingDescriptor(t *testing.T) {
	if how := os.Getenv(blockingChild); how != "" {
		runBlockingChild(how)
		return
	}
	for _, how := range []string{"clear", "TLS"} {
		t.Run(how, func(t *testing.T) {
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, "-test.run=^TestBlockingDescriptor$")
			cmd.Env = append(os.Environ(), blockingChild+"="+how)
			cmd.WaitDelay = time.Second
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "ALIVE") {
				t.Fatalf("the process stands still: %v\n%.2000s", err, out)
			}
		})
	}
}

// block has the descriptor of a TCP connection block, below TLS if need be.
func block(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	if nested, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = nested.NetConn()
	}
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		panic(err)
	}
	_ = f.Fd()
	_ = f.Close()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func runBlockingChild(how string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	var p http.Protocols
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	written := make(chan int, 1)
	s := &server.Server{
		Protocols: &p,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if how == "clear" { // with TLS the handshake is package net's business
				block(c)
			}
			return context.WithValue(ctx, blockingKey{}, c)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			block(r.Context().Value(blockingKey{}).(net.Conn))
			if r.URL.Path != "/large" {
				_, _ = io.Copy(w, r.Body)
				return
			}
			n, _ := w.Write(make([]byte, 64<<20))
			written <- n
		}),
	}
	tr := &client.Transport{Protocols: &p}
	cert, err := selfsigned.Certificate("localhost")
	must(err)
	base := "http://"
	if how == "TLS" {
		base = "https://"
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // of a server in this process
		go s.ServeTLS(l, "", "")                                   // ends with the process
	} else {
		go s.Serve(l) // ends with the process
	}
	base += l.Addr().String()
	for range 3 {
		resp, err := tr.RoundTrip(newRequest(base, strings.NewReader(strings.Repeat("a", 1<<20))))
		must(err)
		n, err := io.Copy(io.Discard, resp.Body)
		must(err)
		if n != 1<<20 {
			panic(n)
		}
		runtime.GC() // stops the world
	}
	ctx, cancel := context.WithCancel(context.Background())
	resp, err := tr.RoundTrip(newRequest(base+"/large", nil).WithContext(ctx))
	must(err)
	_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
	must(err)
	for start := time.Now(); time.Since(start) < 300*time.Millisecond; { // the peer does not read, and the socket fills
		runtime.GC()
	}
	cancel()
	if n := <-written; n == 64<<20 {
		panic("all was written")
	}
	_, _ = os.Stdout.WriteString("ALIVE\n")
	os.Exit(0)
}

type blockingKey struct{}

func newRequest(url string, body io.Reader) *http.Request {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequest(method, url, body)
	must(err)
	return req
}
