package reverse

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/selfsigned"
)

// write makes a file for a test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// echoes listens on 127.0.0.1, and sends back what comes until the test ends.
func echoes(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(nc, nc)
				_ = nc.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// Both sides, with TLS: what is allowed is reached through the outer side's port, with its end, and
// nothing else is.
func TestBothSides(t *testing.T) {
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := pems(cert.Certificate[0], cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, token := write(t, "cert.pem", certPEM), write(t, "token", "0123456789abcdef\n")
	allowed, denied := echoes(t), echoes(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan []net.Addr, 1)
	done := make(chan error, 2)
	o := Defaults()
	o.TokenFile, o.Accept, o.CertFile, o.KeyFile = token, "127.0.0.1:0", certFile, write(t, "key.pem", keyPEM)
	o.Listen = []string{"127.0.0.1:0=" + allowed, "127.0.0.1:0=" + denied}
	o.Ready = func(accept net.Addr, listen []net.Addr) { ready <- append(listen, accept) }
	go func() { done <- Run(ctx, o) }()
	var addrs []net.Addr
	select {
	case addrs = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	in := Defaults()
	in.Inner, in.TokenFile, in.CAFile, in.To = true, token, certFile, "https://"+addrs[2].String()
	in.Allow = []string{allowed}
	go func() { done <- Run(ctx, in) }()

	exchange := func(addr net.Addr) string {
		nc, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(nc, "hello")
		_ = nc.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(nc) // what came before an error
		return string(b)
	}
	if got := exchange(addrs[0]); got != "hello" { // waits for the inner side
		t.Errorf("%q came back", got)
	}
	if got := exchange(addrs[1]); got != "" {
		t.Errorf("a target that is not allowed was reached: %q", got)
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Each mistake at the command line is reported in a sentence that names the flag to change.
func TestMistakes(t *testing.T) {
	token := write(t, "token", "0123456789abcdef")
	inner := Options{Inner: true, To: "https://x:1", TokenFile: token, Allow: []string{"a:1"}, Connections: 1}
	outer := Options{
		Accept: "127.0.0.1:0", TokenFile: token, Cleartext: true, Listen: []string{"127.0.0.1:0=a:1"},
	}
	for want, tt := range map[string]struct {
		o      Options
		change func(o *Options)
	}{
		"--reverse is for":         {inner, func(o *Options) { o.Accept = ":1" }},
		"add --reverse":            {outer, func(o *Options) { o.Accept = "" }},
		"--token-file FILE":        {inner, func(o *Options) { o.TokenFile = "" }},
		"--drain":                  {inner, func(o *Options) { o.Drain = -1 }},
		"--to":                     {inner, func(o *Options) { o.To = "outer:8443" }},
		"--allow HOST:PORT is":     {inner, func(o *Options) { o.Allow = nil }},
		`--allow "any:22"`:         {inner, func(o *Options) { o.Allow = []string{"any:22"} }},
		`--allow "10.0.0.0/8:22"`:  {inner, func(o *Options) { o.Allow = []string{"10.0.0.0/8:22"} }},
		`--allow "*.example:22"`:   {inner, func(o *Options) { o.Allow = []string{"*.example:22"} }},
		`--allow "a"`:              {inner, func(o *Options) { o.Allow = []string{"a"} }},
		"--connections":            {inner, func(o *Options) { o.Connections = 0 }},
		"--ca":                     {inner, func(o *Options) { o.CAFile = token }},
		"--listen ADDRESS":         {outer, func(o *Options) { o.Listen = nil }},
		`--listen "a:1"`:           {outer, func(o *Options) { o.Listen = []string{"a:1"} }},
		"--cleartext goes without": {outer, func(o *Options) { o.CertFile = "c" }},
		"--cert FILE and --key":    {outer, func(o *Options) { o.Cleartext = false }},
		"16 characters":            {inner, func(o *Options) { o.TokenFile = write(t, "short", "x") }},
		"no such file":             {inner, func(o *Options) { o.TokenFile += "x" }},
	} {
		tt.change(&tt.o)
		if err := Run(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
