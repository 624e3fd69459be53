//go:build !nethttpomithttp2

package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/server"
)

// A Server answers HTTP/1.1 and, to clients that know that it speaks it, HTTP/2 on the same
// cleartext port.
func ExampleServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello by", r.Proto)
	})}
	go srv.Serve(l)

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	for _, tr := range []*http.Transport{{}, {Protocols: &h2c}} {
		resp, err := (&http.Client{Transport: tr}).Get("http://" + l.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Print(string(body))
		tr.CloseIdleConnections()
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello by HTTP/1.1
	// hello by HTTP/2.0
}

// Configure plugs into an http.Server that exists, here that of httptest.
func ExampleConfigure() {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello by", r.Proto)
	}))
	if err := server.Configure(ts.Config, &server.Config{MaxConcurrentStreams: 100}); err != nil {
		log.Fatal(err)
	}
	ts.EnableHTTP2 = true
	ts.StartTLS()
	defer ts.Close()

	resp, err := ts.Client().Get(ts.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Print(string(body))
	// Output: hello by HTTP/2.0
}

// A FramePolicy bounds what the limits do not know of: this server takes one request in all.
func ExampleConfig_framePolicy() {
	var requests atomic.Int64
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})}
	srv.FramePolicy = func(_ *conn.Conn, h frame.Header, _ []byte) error {
		if h.Type == frame.TypeHeaders && requests.Add(1) > 1 {
			return &frame.StreamError{Code: frame.EnhanceYourCalm} // any other error would end the connection
		}
		return nil
	}
	srv.Padding = conn.PadTo(64) // and an observer learns lengths only roughly
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	hc := &http.Client{Transport: &http.Transport{Protocols: &h2c}}
	for range 2 {
		resp, err := hc.Get("http://" + l.Addr().String())
		if err != nil {
			fmt.Println("calmed:", strings.Contains(err.Error(), "ENHANCE_YOUR_CALM"))
			continue
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	// Output:
	// 200 OK
	// calmed: true
}

// One connection gets a handler, a context and settings of its own. Its preface was read by the
// program.
func ExampleServer_ServeConnWith() {
	client, nc := net.Pipe()
	srv := &server.Server{}
	go func() {
		got := make([]byte, len(frame.Preface))
		if _, err := io.ReadFull(nc, got); err != nil || string(got) != frame.Preface {
			log.Fatal("no client of HTTP/2")
		}
		type tenant struct{}
		err := srv.ServeConnWith(nc, server.ConnOptions{
			Context: context.WithValue(context.Background(), tenant{}, "blue"),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintln(w, "hello,", r.Context().Value(tenant{}))
			}),
			Config:   &server.Config{MaxConcurrentStreams: 10},
			Received: got,
		})
		if err != nil {
			log.Print(err)
		}
	}()

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	tr := &http.Transport{
		Protocols:   &h2c,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
	}
	resp, err := (&http.Client{Transport: tr}).Get("http://example.test")
	if err != nil {
		log.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(body))
	// Output: hello, blue
}
