package page_test

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/capture/page"
)

// A capture becomes one file of HTML.
func ExampleWriter() {
	var file bytes.Buffer
	w := page.NewWriter(&file, page.Options{Title: "example"})
	if _, err := capture.ReadFile("../../cmd/sluice/testdata/example.pcapng", capture.Options{}, w.Handle); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err) // the page is not whole
	}
	html := file.String()
	fmt.Println(strings.HasPrefix(html, "<!doctype html>"), strings.Contains(html, "/download"))
	// Output: true true
}

// A page shows what the connections of a program do, to those that have its address.
func ExampleServer() {
	pages := page.NewServer(page.ServerOptions{Options: page.Options{Title: "my server"}, Token: page.NewToken()})
	defer pages.Close()
	live := &capture.Live{Handler: pages.Handle} // the Tracer of a server.Config, or of a client.Transport
	defer live.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	log.Println("the page:", pages.URL(l.Addr().String()))
	viewers := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = viewers.Serve(l) }()
	// … the program runs …
	_ = viewers.Close()
}
