package server_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
)

// A handler that was written for HTTP/1.1. It does by hand what Accept and Upgrade of the WebSocket
// libraries do.
func upgrade(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "want a WebSocket", http.StatusUpgradeRequired)
		return
	}
	nc, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer nc.Close()
	fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	fmt.Fprintf(nc, "\x81\x05hello") // a text frame
}

func ExampleWebSocket() {
	srv := &server.Server{Handler: server.WebSocket(http.HandlerFunc(upgrade))}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve(l)
	defer srv.Close()

	// A client of RFC 8441, as a browser is.
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &client.Transport{Protocols: &h2c}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodConnect, "http://"+l.Addr().String()+"/chat", nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header[":protocol"] = []string{"websocket"}
	req.Header.Set("Sec-WebSocket-Version", "13")
	tunnel, resp, err := transport.Connect(req)
	if err != nil || tunnel == nil {
		log.Fatal(resp, err)
	}
	defer tunnel.Close()
	frame, err := io.ReadAll(tunnel)
	fmt.Printf("%s %q %v\n", resp.Status, frame, err)
	// Output: 200 OK "\x81\x05hello" <nil>
}
