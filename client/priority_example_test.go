package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/stream/priority"
)

// A request says how soon it needs its answer, and may think better of it while the answer is under
// way.
func ExampleWithPriority() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	goOn := make(chan bool)
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/picture" {
			close(goOn)
			return
		}
		p, _ := server.Priority(w)
		fmt.Println("asked for", p.Field())
		w.(http.Flusher).Flush()
		<-goOn
		p, _ = server.Priority(w)
		fmt.Println("then for", p.Field())
	})}
	go srv.Serve(l)
	defer srv.Close()
	site := "http://" + l.Addr().String()

	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &client.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport}

	// A picture that is not in sight may come last.
	later := priority.Params{Extensible: true, Urgency: 5, Incremental: true}
	ctx := client.WithPriority(context.Background(), later)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, site+"/picture", nil)
	if err != nil {
		log.Fatal(err)
	}
	resp, err := hc.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()

	// The user has scrolled down to it.
	if err := client.UpdatePriority(ctx, priority.Params{Extensible: true, Urgency: 2, Incremental: true}); err != nil {
		log.Fatal(err)
	}
	// The server has seen the change before this request.
	if _, err := hc.Get(site + "/text"); err != nil {
		log.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	// Output:
	// asked for u=5, i
	// then for u=2, i
}
