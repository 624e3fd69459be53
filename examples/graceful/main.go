// Graceful drains on Ctrl-C: GOAWAY asks the client to open no further streams,
// requests that run may finish, and then the program ends.
//
//	go run ./examples/graceful
//	curl --http2-prior-knowledge http://localhost:8080/     (takes 5 s; press Ctrl-C meanwhile)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/sluice-go/sluice/server"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	drain := flag.Duration("drain", 10*time.Second, "time that running requests have")
	flag.Parse()

	srv := &server.Server{Addr: *addr, Handler: http.HandlerFunc(slowly)}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	drained := make(chan error, 1)
	go func() { // ends when Shutdown has returned
		<-ctx.Done()
		stop() // a second Ctrl-C kills
		log.Print("draining")
		timeout, cancel := context.WithTimeout(context.Background(), *drain)
		defer cancel()
		drained <- srv.Shutdown(timeout)
	}()

	log.Printf("http://%s/", *addr)
	// ListenAndServe returns as soon as Shutdown begins: the program must wait for its end.
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	if err := <-drained; err != nil {
		log.Fatalf("some requests were cut off: %v", err)
	}
	log.Print("every request has been answered")
}

func slowly(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(5 * time.Second):
		fmt.Fprintln(w, "that took a while")
	case <-r.Context().Done(): // the client has gone
	}
}
