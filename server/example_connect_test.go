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

// A proxy that connects its clients to other hosts. (One that the public can reach must check to
// which hosts it connects.)
func ExampleAcceptConnect() {
	proxy := &server.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		var d net.Dialer
		target, err := d.DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer target.Close()
		tunnel, err := server.AcceptConnect(w)
		if err != nil {
			return // the client has gone
		}
		defer tunnel.Close()
		go func() { // ends with the tunnel
			_, _ = io.Copy(target, tunnel)
			_ = target.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(tunnel, target)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go proxy.Serve(l)
	defer proxy.Close()

	// The host behind it says hello.
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer behind.Close()
	go func() {
		if c, err := behind.Accept(); err == nil {
			name, _ := io.ReadAll(c)
			fmt.Fprintf(c, "hello, %s", name)
			c.Close()
		}
	}()

	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &client.Transport{Protocols: &h2c}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodConnect, "http://"+l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Host = behind.Addr().String()
	tunnel, resp, err := transport.Connect(req)
	if err != nil {
		log.Fatal(err)
	}
	if tunnel == nil {
		log.Fatal(resp.Status)
	}
	defer tunnel.Close()
	fmt.Fprint(tunnel, "tunnel")
	if err := tunnel.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	answer, err := io.ReadAll(tunnel)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(answer))
	// Output: hello, tunnel
}
