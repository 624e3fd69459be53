// Fetch gets pages side by side over one connection, with client.Transport in the place of
// http.Transport.
//
//	go run ./examples/h2c &
//	go run ./examples/fetch -h2c -n 5 http://localhost:8080/
//	go run ./examples/fetch https://go.dev/ https://go.dev/doc/
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/client"
)

func main() {
	n := flag.Int("n", 1, "how often to get each page")
	h2c := flag.Bool("h2c", false, "HTTP/2 without TLS for http URLs, which the server must know")
	flag.Parse()
	if flag.NArg() == 0 {
		log.Fatal("usage: fetch [-h2c] [-n 5] URL...")
	}

	// The zero Transport speaks what ALPN chooses over TLS, and HTTP/1.1 without.
	transport := &client.Transport{}
	if *h2c {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
	}
	hc := &http.Client{Transport: transport, Timeout: 30 * time.Second}

	var wg sync.WaitGroup
	var failed atomic.Bool
	for _, url := range flag.Args() {
		for range *n {
			wg.Go(func() {
				if err := get(hc, url); err != nil {
					log.Print(err)
					failed.Store(true)
				}
			})
		}
	}
	wg.Wait()
	stats := transport.Stats()
	fmt.Printf("%d requests, %d retries, %d connections\n", stats.Requests, stats.Retries, stats.ConnsOpened)
	transport.CloseIdleConnections()
	if failed.Load() {
		os.Exit(1)
	}
}

// get prints what one page has answered. The body must be read to its end, or closed, for the
// stream to be free for another request.
func get(hc *http.Client, url string) error {
	start := time.Now()
	resp, err := hc.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	octets, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s: %d octets of %s in %v\n", resp.Proto, resp.Status, octets, url, time.Since(start))
	return nil
}
