//go:build !nethttpomithttp2

package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// A page and what it needs: the links are pushed to clients that take pushes, and sent in a 103
// response to the others.
func ExamplePushPreloads() {
	mux := http.NewServeMux()
	mux.HandleFunc("/style.css", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "body { color: green }") })
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "a page") })
	mux.Handle("/{$}", server.PushPreloads(server.EarlyHints(page, func(*http.Request) []string {
		return []string{"</style.css>; rel=preload; as=style"}
	})))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: mux}
	go srv.Serve(l)
	defer srv.Close()

	pushed := make(chan string)
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	hc := &http.Client{Transport: &client.Transport{
		Protocols: &h2c,
		PushHandler: client.PushHandlerFunc(func(p *client.Push) {
			resp, err := p.Response(context.Background())
			if err != nil {
				log.Fatal(err)
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			pushed <- p.Request.URL.Path + ": " + string(body)
		}),
	}}
	resp, err := hc.Get("http://" + l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println("got", string(body))
	fmt.Println("and", <-pushed)
	// Output:
	// got a page
	// and /style.css: body { color: green }
}
