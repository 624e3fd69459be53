//go:build !nethttpomithttp2

package server_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"

	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/stream/priority"
)

// A handler that knows better than the client what is urgent says so: to the client as well by the
// field Priority, or only to the server.
func ExampleSetPriority() {
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := server.Priority(w)
		if err != nil {
			log.Print(err) // HTTP/1.1 has none
		}
		if strings.HasSuffix(r.URL.Path, ".zip") { // a download, of which no part is of use before the rest
			later := priority.Params{Extensible: true, Urgency: priority.MaxUrgency}
			if err := server.SetPriority(w, later); err != nil {
				log.Print(err)
			}
		}
		now, _ := server.Priority(w)
		fmt.Fprintf(w, "%s: asked for %q, sent with %q\n", r.URL.Path, asked.Field(), now.Field())
	})}
	srv.Scheduler = priority.NewExtensible
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &h2c}
	defer tr.CloseIdleConnections()
	for _, path := range []string{"/style.css", "/all.zip"} {
		req, err := http.NewRequestWithContext(context.Background(), "GET", "http://"+l.Addr().String()+path, nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Priority", "u=2, i")
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Print(string(body))
	}
	// Output:
	// /style.css: asked for "u=2, i", sent with "u=2, i"
	// /all.zip: asked for "u=2, i", sent with "u=7"
}
