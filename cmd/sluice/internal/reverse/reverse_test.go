package reverse

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/tunnel"
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

// start runs both sides over cleartext until the test ends, and returns the address of the outer
// side for a target. Of the targets only the first is allowed.
func start(t *testing.T, targets ...string) []net.Addr {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan []net.Addr, 1), make(chan error, 2)
	o := Defaults()
	o.TokenFile, o.Accept, o.Cleartext = write(t, "token", "0123456789abcdef\n"), "127.0.0.1:0", true
	for _, target := range targets {
		o.Listen = append(o.Listen, "127.0.0.1:0="+target)
	}
	o.Ready = func(accept net.Addr, listen []net.Addr) { ready <- append(listen, accept) }
	go func() { done <- Run(ctx, o) }()
	addrs := <-ready
	in := Defaults()
	in.Inner, in.TokenFile, in.To = true, o.TokenFile, "http://"+addrs[len(targets)].String()
	in.Allow = targets[:1]
	go func() { done <- Run(ctx, in) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return addrs
}

// dial connects with a deadline.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return nc.(*net.TCPConn)
}

// A tunnel that was reset at one end, or that there never was, does not end as if it were whole at
// the other.
func TestResets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addrs := start(t, l.Addr().String(), echoes(t))
	pair := func() (client, target *net.TCPConn) {
		client = dial(t, addrs[0].String())
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		target = nc.(*net.TCPConn)
		t.Cleanup(func() { _ = target.Close() })
		_ = target.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(client, "to")
		_, _ = io.WriteString(target, "fro")
		for c, n := range map[*net.TCPConn]int{client: 3, target: 2} {
			if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
		}
		return client, target
	}
	isReset := func(who string, c *net.TCPConn) {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: %v, want a reset", who, err)
		}
	}
	client, target := pair()
	_ = target.SetLinger(0)
	_ = target.Close()
	isReset("the client of a target that has reset", client)
	client, target = pair()
	_ = client.SetLinger(0)
	_ = client.Close()
	isReset("the target of a client that has reset", target)
	denied, err := net.Dial("tcp", addrs[1].String())
	if err == nil { // else at once
		defer denied.Close()
		_ = denied.SetDeadline(time.Now().Add(time.Minute))
		_, err = denied.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client of a target that is not allowed: %v, want a reset", err)
	}
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
	o.Proxy, o.Users, o.IdleTimeout = "127.0.0.1:0", write(t, "users", usersLine(t)), time.Minute
	o.Audit = filepath.Join(t.TempDir(), "outer.jsonl")
	o.Ready = func(accept net.Addr, listen []net.Addr) { ready <- append(listen, accept) }
	go func() { done <- Run(ctx, o) }()
	var addrs []net.Addr
	select {
	case addrs = <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	in := Defaults()
	in.Inner, in.TokenFile, in.CAFile, in.To = true, token, certFile, "https://"+addrs[3].String()
	in.Allow, in.Audit = []string{allowed}, filepath.Join(t.TempDir(), "inner.jsonl")
	go func() { done <- Run(ctx, in) }()

	exchange := func(addr net.Addr) string {
		nc, err := net.Dial("tcp", addr.String())
		if errors.Is(err, syscall.ECONNRESET) { // at once
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
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
	for target, want := range map[string]string{allowed: "hello", denied: ""} {
		d := &tunnel.Dialer{Proxy: &url.URL{Scheme: "http", Host: addrs[2].String(), User: url.UserPassword("anna", "x")}}
		nc, err := d.DialContext(t.Context(), "tcp", target)
		if (err == nil) != (want != "") {
			t.Errorf("%s by the proxy: %v", target, err)
		}
		var refusal *tunnel.ProxyError
		if err != nil {
			if !errors.As(err, &refusal) || refusal.StatusCode != http.StatusForbidden {
				t.Errorf("%s by the proxy: %v", target, err)
			}
			continue
		}
		_, _ = io.WriteString(nc, "hello")
		b := make([]byte, 5)
		if _, err := io.ReadFull(nc, b); err != nil || string(b) != want {
			t.Errorf("%q came back by the proxy, %v", b, err)
		}
		_ = nc.Close()
	}
	cancel()
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for file, want := range map[string]int{o.Audit: 4, in.Audit: 4} {
		b, err := os.ReadFile(file)
		if err != nil || strings.Count(string(b), "\n") != want ||
			strings.Count(string(b), `"status":403`) == 0 && file == in.Audit {
			t.Errorf("%s: %v, want %d lines:\n%s", file, err, want, b)
		}
	}
}

// usersLine is the line of a file of users for anna, with the password x.
func usersLine(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return "anna:" + string(hash) + "\n"
}

// A tunnel that carries nothing ends at the idle limit, by either side's.
func TestIdle(t *testing.T) {
	for _, side := range []string{"outer", "inner"} {
		target, token := echoes(t), write(t, "token", "0123456789abcdef\n")
		ctx, cancel := context.WithCancel(t.Context())
		ready, done := make(chan []net.Addr, 1), make(chan error, 2)
		o := Defaults()
		o.TokenFile, o.Accept, o.Cleartext, o.Listen = token, "127.0.0.1:0", true, []string{"127.0.0.1:0=" + target}
		o.Ready = func(accept net.Addr, listen []net.Addr) { ready <- append(listen, accept) }
		in := Defaults()
		in.Inner, in.TokenFile, in.Allow = true, token, []string{target}
		if side == "outer" {
			o.IdleTimeout = 200 * time.Millisecond
		} else {
			in.IdleTimeout = 200 * time.Millisecond
		}
		go func() { done <- Run(ctx, o) }()
		addrs := <-ready
		in.To = "http://" + addrs[1].String()
		go func() { done <- Run(ctx, in) }()
		nc, err := net.Dial("tcp", addrs[0].String())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(time.Minute))
		_, err = nc.Read(make([]byte, 1))
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the tunnel has not ended: %v", side, err)
		}
		_ = nc.Close()
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
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
		"--tunnel-idle-timeout":    {outer, func(o *Options) { o.IdleTimeout = -1 }},
		"--users is for --proxy":   {outer, func(o *Options) { o.Users = "x" }},
		"--users: open":            {outer, func(o *Options) { o.Users, o.Proxy = "/no/users", "127.0.0.1:0" }},
		"--udp at the outer side":  {outer, func(o *Options) { o.UDP = true }},
		"--proxy and --users are":  {inner, func(o *Options) { o.Proxy = "127.0.0.1:0" }},
		"--proxy: listen":          {outer, func(o *Options) { o.Proxy = "127.0.0.1" }},
		"--audit: open":            {outer, func(o *Options) { o.Audit = "/no/audit" }},
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
