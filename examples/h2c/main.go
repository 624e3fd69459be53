// H2c serves HTTP/2 without TLS, for use behind a proxy or on one machine.
// The same port answers HTTP/1.1.
//
//	go run ./examples/h2c
//	curl --http2-prior-knowledge http://localhost:8080/
//	curl --http2 http://localhost:8080/      (asks with Upgrade: h2c)
//	curl --http1.1 http://localhost:8080/
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/sluice-go/sluice/server"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()

	srv := &server.Server{
		Addr: *addr,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "Hello over %s\n", r.Proto)
		}),
		// Prior knowledge needs no setting. The Upgrade of RFC 7540 §3.2,
		// which RFC 9113 dropped, is there for clients that ask for it.
		Config: server.Config{AllowH2CUpgrade: true},
	}
	log.Printf("http://%s/", *addr)
	log.Fatal(srv.ListenAndServe())
}
