package reverse

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sluice-go/sluice/tunnel"
)

// With --udp at both sides, clients of --proxy reach by UDP what the inner side allows.
func TestUDP(t *testing.T) {
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() { // until echo is closed
		b := make([]byte, 1<<16)
		for {
			n, from, err := echo.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(b[:n], from)
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan []net.Addr, 1), make(chan error, 2)
	o := Defaults()
	o.TokenFile, o.Accept, o.Cleartext = write(t, "token", "0123456789abcdef\n"), "127.0.0.1:0", true
	o.Proxy, o.UDP = "127.0.0.1:0", true
	o.Ready = func(accept net.Addr, listen []net.Addr) { ready <- append(listen, accept) }
	go func() { done <- Run(ctx, o) }()
	addrs := <-ready
	in := Defaults()
	in.Inner, in.UDP, in.TokenFile, in.To = true, true, o.TokenFile, "http://"+addrs[1].String()
	in.Allow = []string{echo.LocalAddr().String()}
	go func() { done <- Run(ctx, in) }()

	for _, scheme := range []string{"http", "h2c"} {
		d := &tunnel.Dialer{Proxy: &url.URL{Scheme: scheme, Host: addrs[0].String()}}
		pc, err := d.DialUDP(t.Context(), in.Allow[0])
		if err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		_ = pc.SetDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 10)
		if _, err := pc.WriteTo([]byte("hello"), pc.(net.Conn).RemoteAddr()); err != nil {
			t.Fatal(err)
		}
		if n, _, err := pc.ReadFrom(b); err != nil || string(b[:n]) != "hello" {
			t.Errorf("%s: %q came back, %v", scheme, b[:n], err)
		}
		_ = pc.Close()
		var refusal *tunnel.ProxyError
		if _, err := d.DialUDP(t.Context(), "127.0.0.1:9"); !errors.As(err, &refusal) ||
			refusal.StatusCode != http.StatusForbidden {
			t.Errorf("%s, not allowed: %v", scheme, err)
		}
		_ = d.Close()
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
