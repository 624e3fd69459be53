package tunnels

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// Two libraries, as their documentation has them, over one HTTP/2 connection: server.WebSocket is
// the one line on the server, WebSocketHTTP2 or DialWebSocket that on the client.
func Example_webSocket() {
	mux := http.NewServeMux()
	mux.HandleFunc("/coder", func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return // Accept has answered
		}
		defer c.CloseNow()
		_ = c.Write(r.Context(), coder.MessageText, []byte("hello from coder/websocket"))
		c.Close(coder.StatusNormalClosure, "")
	})
	mux.HandleFunc("/gorilla", func(w http.ResponseWriter, r *http.Request) {
		c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered
		}
		defer c.Close()
		_ = c.WriteMessage(gorilla.TextMessage, []byte("hello from gorilla/websocket"))
	})
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{
		Handler:   server.WebSocket(mux),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go srv.ServeTLS(l, "", "")
	defer srv.Close()

	tr := &client.Transport{WebSocketHTTP2: true, TLSClientConfig: insecure.Clone()}
	defer tr.CloseIdleConnections()
	url := "wss://" + l.Addr().String()

	a, _, err := coder.Dial(context.Background(), url+"/coder", &coder.DialOptions{
		HTTPClient: &http.Client{Transport: tr},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer a.CloseNow()
	_, msg, err := a.Read(context.Background())
	fmt.Printf("%s %v\n", msg, err)

	d := gorilla.Dialer{NetDialTLSContext: tr.DialWebSocket}
	b, _, err := d.Dial(url+"/gorilla", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	_, msg, err = b.ReadMessage()
	fmt.Printf("%s %v\n", msg, err)
	fmt.Println("connections:", tr.Stats().Conns)
	// Output:
	// hello from coder/websocket <nil>
	// hello from gorilla/websocket <nil>
	// connections: 1
}
