package client_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// What a server pushes with a page is there when it is asked for.
func ExamplePushCache() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			if err := w.(http.Pusher).Push("/style.css", nil); err != nil {
				log.Print(err)
			}
		}
		fmt.Fprint(w, strings.ToUpper(r.URL.Path))
	})}
	go srv.Serve(l)
	defer srv.Close()

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	tr := &client.Transport{Protocols: &h2c, PushCache: &client.PushCache{MaxAge: 10 * time.Second}}
	defer tr.CloseIdleConnections()
	for _, path := range []string{"/page", "/style.css"} {
		resp, err := (&http.Client{Transport: tr}).Get("http://" + l.Addr().String() + path)
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(string(body), err)
	}
	fmt.Println(tr.Stats().Requests, "request was sent,", tr.PushCache.Stats().Matched, "was answered without")
	// Output:
	// /PAGE <nil>
	// /STYLE.CSS <nil>
	// 1 request was sent, 1 was answered without
}
