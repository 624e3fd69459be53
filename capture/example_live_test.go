package capture_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// serveHello serves a site over HTTP/2 without TLS, with a Tracer, and returns its address.
func serveHello(tracer server.Tracer) (addr string, stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{
		Config: server.Config{Tracer: tracer},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
		}),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	return l.Addr().String(), func() {
		_ = srv.Shutdown(context.Background())
		<-ended
	}
}

// The frames of a server's connections are seen while they come, without secrets in them.
func ExampleLive() {
	live := &capture.Live{Handler: func(e capture.Event) {
		switch e := e.(type) {
		case *capture.Frame:
			if e.Header.Type == frame.TypeHeaders {
				fmt.Println(e.Dir, e.Header.Type, "on stream", e.Header.StreamID)
				for _, f := range e.Fields {
					if f.Name == "authorization" || f.Name == ":status" {
						fmt.Printf("  %s: %s\n", f.Name, f.Value)
					}
				}
			}
		case *capture.Request:
			fmt.Println(e.Method, e.Path, "was answered with", e.Status)
		}
	}}
	addr, stop := serveHello(live)

	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	tr := &client.Transport{Protocols: &protocols}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+addr+"/greeting", http.NoBody)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer 0123456789abcdef")
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	tr.CloseIdleConnections()
	stop() // waits for the connection, and so for its last event
	live.Close()
	// Output:
	// client HEADERS on stream 1
	//   authorization: Bearer (hidden, 16 octets)
	// server HEADERS on stream 1
	//   :status: 200
	// GET /greeting was answered with 200
}

// A server records what it serves over TLS; with the keys in it, the capture is read at once, here
// by Read and elsewhere by Wireshark. A file is made by CreatePcap, so that others cannot read it.
func ExamplePcapWriter() {
	var file bytes.Buffer
	rec, err := capture.NewPcapWriter(&file)
	if err != nil {
		log.Fatal(err)
	}
	cert, err := selfsigned.Certificate("localhost", "127.0.0.1") // of this module's tests
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, KeyLogWriter: rec.KeyLogWriter()},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "hello")
		}),
	}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.ServeTLS(rec.WrapListener(l), "", "") })

	tr := &client.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	resp, err := (&http.Client{Transport: tr}).Get("https://" + l.Addr().String() + "/greeting")
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	tr.CloseIdleConnections()
	_ = srv.Shutdown(context.Background())
	served.Wait()
	if err := rec.Close(); err != nil {
		log.Fatal(err) // the capture is not complete
	}

	sum, err := capture.Read(&file, capture.Options{}, func(e capture.Event) {
		switch e := e.(type) {
		case *capture.Connection:
			fmt.Println(e.Protocol, "in", e.TLS.VersionName())
		case *capture.Request:
			fmt.Println(e.Method, e.Path, "was answered with", e.Status)
		}
	})
	fmt.Println(sum.KeysUsed, "connection was decrypted,", err)
	// Output:
	// h2 in TLS 1.3
	// GET /greeting was answered with 200
	// 1 connection was decrypted, <nil>
}
