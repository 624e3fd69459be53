//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/cmd/sluice/internal/proxy"
	"github.com/sluice-go/sluice/cmd/sluice/internal/reverse"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// Variables of the environment where this test's program is to be the command.
const (
	originVariable = "SLUICE_TEST_ORIGIN" // address of the site that its proxy reaches for every name
	plainVariable  = "SLUICE_TEST_PLAIN"  // that of the same site without TLS, for port 80
	listenVariable = "SLUICE_TEST_LISTEN" // where the proxy listens by default
)

func TestMain(m *testing.M) {
	origin := os.Getenv(originVariable)
	if origin == "" {
		os.Exit(m.Run())
	}
	reach := func(p *tunnel.Proxy) {
		p.Resolver = publicNames{}
		p.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if strings.HasSuffix(addr, ":80") {
				return (&net.Dialer{}).DialContext(ctx, network, os.Getenv(plainVariable))
			}
			return (&net.Dialer{}).DialContext(ctx, network, origin)
		}
	}
	os.Exit(runWith(untilSignal(), os.Args[1:], os.Stdout, os.Stderr, adjust{
		proxy: func(o *proxy.Options) {
			if o.HTTP == proxy.Defaults().HTTP {
				o.HTTP = os.Getenv(listenVariable)
			}
			o.Adjust = reach
		},
		reverse: func(o *reverse.Options) { o.Adjust = reach },
	}))
}

// publicNames finds a public address for every name.
type publicNames struct{}

func (publicNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
}

// The commands of docs/TUNNELS.md work as they are printed there, and print what is printed there.
func TestTunnelsPage(t *testing.T) {
	for _, program := range []string{"bash", "curl", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
	text, err := os.ReadFile("../../docs/TUNNELS.md")
	if err != nil {
		t.Fatal(err)
	}
	p := newPage(t)
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		blocks := regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$").FindAllStringSubmatch(body, -1)
		if len(blocks) > 0 {
			t.Run(title, func(t *testing.T) { p.play(t, blocks) })
		}
	}
}

// A page is where the commands of a page run.
type page struct {
	dir   string
	env   []string
	ports map[string]string // of the page, and those in their place
}

func newPage(t *testing.T) *page {
	t.Helper()
	cert, err := selfsigned.Certificate("example.com", "www.example.com", "api.example.com")
	if err != nil {
		t.Fatal(err)
	}
	secure, plain := listenAnywhere(t), listenAnywhere(t)
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "hello from %s\n", r.Host)
			if r.URL.Path == "/headers" {
				_ = r.Header.Write(w)
			}
		}),
	}
	ended := make(chan error, 2)
	go func() { ended <- srv.ServeTLS(secure, "", "") }()
	go func() { ended <- srv.Serve(plain) }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
		<-ended
	})
	p := &page{dir: t.TempDir(), ports: map[string]string{}}
	bin := t.TempDir()
	roots := filepath.Join(bin, "roots.pem")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrapper := fmt.Sprintf(
		"#!/bin/sh\n%s=%s %s=%s exec '%s' \"$@\"\n",
		originVariable, secure.Addr(), plainVariable, plain.Addr(), program,
	)
	for file, text := range map[string][]byte{
		roots:                        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		filepath.Join(bin, "sluice"): []byte(wrapper),
	} {
		if err := os.WriteFile(file, text, 0o700); err != nil { //nolint:gosec // one is a program
			t.Fatal(err)
		}
	}
	p.env = slices.DeleteFunc(os.Environ(), func(s string) bool {
		name, _, _ := strings.Cut(strings.ToLower(s), "=")
		return strings.HasSuffix(name, "_proxy")
	})
	p.env = append(
		p.env,
		"PATH="+bin+":"+os.Getenv("PATH"),
		"HOME="+p.dir,
		"CURL_CA_BUNDLE="+roots,
		"SSL_CERT_FILE="+roots,
	)
	for _, port := range []string{"3128", "8443", "8444", "8080", "8081", "2222"} {
		p.ports[port] = reservePort(t)
	}
	p.env = append(p.env, listenVariable+"=127.0.0.1:"+p.ports["3128"])
	return p
}

// listenAnywhere listens on a free port.
func listenAnywhere(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// starts reports whether a block starts a server.
var starts = regexp.MustCompile(`^sluice (serve|proxy|tunnel)( -|\n)`).MatchString

// play runs the blocks of a section.
func (p *page) play(t *testing.T, blocks [][]string) {
	output, failed := "", error(nil)
	for i, b := range blocks {
		kind, text := b[1], b[2]
		switch {
		case kind == "text":
			for _, line := range missing(output, text) {
				t.Errorf("not printed: %q, but:\n%s", line, output)
			}
		case starts(text):
			p.start(t, text)
		default:
			var printed string
			if next := i + 1; next < len(blocks) && blocks[next][1] == "text" {
				printed = blocks[next][2]
			}
			output, failed = p.run(t, text)
			if strings.HasPrefix(text, "cat ") { // of a log, which gets a line behind the end of what it says
				for late := time.Now().Add(time.Minute); len(missing(output, printed)) > 0 && time.Now().Before(late); {
					output, failed = p.run(t, text)
				}
			}
			if failed != nil && printed == "" {
				t.Errorf("%s%v\n%s", text, failed, output)
			}
		}
	}
}

// missing returns the lines of a text that an output lacks.
func missing(output, text string) (lines []string) {
	for line := range strings.Lines(text) {
		if !strings.Contains(output, strings.TrimSpace(line)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// command returns the command of a block, with ports that are free.
func (p *page) command(ctx context.Context, text string) *exec.Cmd {
	for port, free := range p.ports {
		text = strings.ReplaceAll(text, ":"+port, ":"+free)
	}
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

// run runs a block to its end, and returns what it prints with the ports of the page.
func (p *page) run(t *testing.T, text string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := p.command(ctx, text).CombinedOutput()
	output := string(out)
	for port, free := range p.ports {
		output = strings.ReplaceAll(output, ":"+free, ":"+port)
	}
	return output, err
}

// watched is what a server prints.
type watched struct {
	mu    sync.Mutex
	b     bytes.Buffer
	ready chan struct{} // closed when it serves
}

func (w *watched) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.b.String(), "Ctrl-C stops")
	w.b.Write(b)
	if !before && strings.Contains(w.b.String(), "Ctrl-C stops") {
		close(w.ready)
	}
	return len(b), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// start runs a server until the section ends, which it does in good order.
func (p *page) start(t *testing.T, text string) {
	t.Helper()
	out := &watched{ready: make(chan struct{})}
	cmd := p.command(t.Context(), "exec "+text)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-out.ready:
	case err := <-ended:
		t.Fatalf("%s: %v\n%s", text, err, out)
	case <-time.After(time.Minute):
		t.Errorf("%s: it does not serve:\n%s", text, out)
	}
	t.Cleanup(func() { // behind the end of t.Context, which interrupts it
		<-ended
		if !strings.HasSuffix(out.String(), "Stopped.\n") {
			t.Errorf("%s: it ended with:\n%s", text, out)
		}
	})
}
