package tunnel_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"strings"

	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// The inner side dials out, and the outer side dials through it.
func ExampleReverseOuter() {
	inside, accept := listen(), listen()
	defer inside.Close()
	go func() {
		nc, err := inside.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(nc, "hello from inside")
		_ = nc.Close()
	}()
	outer := &tunnel.ReverseOuter{Authenticate: tunnel.BearerToken("a secret of both sides")}
	srv := &server.Server{Handler: outer} // in earnest with ServeTLS
	go func() { _ = srv.Serve(accept) }()
	defer srv.Close()
	defer outer.Close()

	_, port, _ := net.SplitHostPort(inside.Addr().String())
	rules, err := tunnel.ParseRules(strings.NewReader("allow 127.0.0.1 port "+port), "example")
	if err != nil {
		log.Fatal(err)
	}
	inner := &tunnel.ReverseInner{
		URL:     &url.URL{Scheme: "http", Host: accept.Addr().String()},
		Token:   func(context.Context) (string, error) { return "a secret of both sides", nil },
		Handler: &tunnel.Proxy{Policy: rules},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = inner.Run(ctx) }()

	nc, err := outer.DialContext(ctx, "tcp", inside.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	text, err := io.ReadAll(nc)
	fmt.Println(string(text), err)
	// Output:
	// hello from inside <nil>
}
