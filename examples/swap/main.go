// Swap is an http.Server program with one line changed: the server is sluice's.
//
//	go run ./examples/swap -cert cert.pem -key key.pem
//	curl -k https://localhost:8443/
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/sluice-go/sluice/server"
)

func main() {
	addr := flag.String("addr", ":8443", "address to listen on")
	cert := flag.String("cert", "cert.pem", "certificate, PEM")
	key := flag.String("key", "key.pem", "its private key, PEM")
	flag.Parse()

	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello over %s\n", r.Proto)
	})
	// This was &http.Server{...}, with the same fields.
	srv := &server.Server{
		Addr:              *addr,
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Printf("https://localhost%s/", *addr)
	log.Fatal(srv.ListenAndServeTLS(*cert, *key))
}
