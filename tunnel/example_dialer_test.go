package tunnel_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// A Dialer reaches whatever speaks TCP through a proxy: here a mail server, whose greeting comes
// through a tunnel over HTTP/2.
func ExampleDialer() {
	mail := listen()
	go func() {
		nc, err := mail.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(nc, "220 mail.example ESMTP\r\n")
		_ = nc.Close()
	}()
	_, port, _ := net.SplitHostPort(mail.Addr().String())
	proxy := listen()
	rules, err := tunnel.ParseRules(strings.NewReader("allow 127.0.0.0/8 port "+port), "example")
	if err != nil {
		log.Fatal(err)
	}
	srv := &server.Server{Handler: &tunnel.Proxy{Policy: rules}, Protocols: new(http.Protocols)}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = srv.Serve(proxy) }()
	defer srv.Close()

	d := &tunnel.Dialer{Proxy: &url.URL{Scheme: "h2c", Host: proxy.Addr().String()}}
	defer d.Close()
	nc, err := d.DialContext(context.Background(), "tcp", mail.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	greeting, err := io.ReadAll(nc)
	fmt.Println(strings.TrimSpace(string(greeting)), err)
	// Output:
	// 220 mail.example ESMTP <nil>
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return l
}
