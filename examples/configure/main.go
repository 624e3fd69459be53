// Configure plugs sluice into an http.Server that a program has already: its
// HTTP/2 connections are sluice's, everything else stays net/http's.
//
//	go run ./examples/configure -cert cert.pem -key key.pem
//	curl -k https://localhost:8443/
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/sluice-go/sluice/server"
)

func main() {
	addr := flag.String("addr", ":8443", "address to listen on")
	cert := flag.String("cert", "cert.pem", "certificate, PEM")
	key := flag.String("key", "key.pem", "its private key, PEM")
	flag.Parse()

	hs := &http.Server{
		Addr: *addr,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "Hello over %s\n", r.Proto)
		}),
	}
	// The settings of HTTP/2 have the names of http.HTTP2Config.
	if err := server.Configure(hs, &server.Config{MaxConcurrentStreams: 500}); err != nil {
		log.Fatal(err)
	}
	log.Printf("https://localhost%s/", *addr)
	log.Fatal(hs.ListenAndServeTLS(*cert, *key))
}
