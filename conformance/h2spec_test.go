package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/sluice-go/sluice/server"
)

// h2specCases is how many cases the suite for servers has: a case that gets lost on the way to a
// subtest shows.
const h2specCases = 146

// A specCase is one case of h2spec under the name that its own command line has for it.
type specCase struct {
	name string // group/section/number
	*spec.TestCase
}

// h2specServerCases lists the suite in h2spec's order and numbering: in each section the plain
// cases, then the strict ones, then the sections below it.
func h2specServerCases() []specCase {
	var all []specCase
	var walk func(*spec.TestGroup)
	walk = func(g *spec.TestGroup) {
		for i, c := range slices.Concat(g.Tests, g.StrictTests) {
			all = append(all, specCase{fmt.Sprintf("%s/%d", g.ID(), i+1), c})
		}
		for _, sub := range g.Groups {
			walk(sub)
		}
	}
	for _, g := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		walk(g)
	}
	return all
}

// run plays the case against the server. It calls the case's own function on a fresh connection
// instead of spec.TestCase.Test, which prints in colour to the standard output, indents by package
// variables and keeps its result in the shared tree.
func (c specCase) run(cfg config.Config) (err error) {
	conn, err := spec.Dial(&cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer func() {
		// h2spec dereferences nil where a server sends a frame type that it does not know, or none
		// at all.
		if p := recover(); p != nil {
			err = fmt.Errorf("h2spec panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Run(&cfg, conn)
}

// explain describes a failure in the words of the case.
func (c specCase) explain(err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", c.Desc, c.Requirement)
	var te *spec.TestError
	switch {
	case errors.Is(err, spec.ErrSkipped):
		b.WriteString("h2spec skipped the case: the server gave it no occasion to check")
	case errors.As(err, &te):
		for i, e := range te.Expected {
			label := "expected"
			if i > 0 {
				label = "      or"
			}
			fmt.Fprintf(&b, "%s: %s\n", label, e)
		}
		fmt.Fprintf(&b, "  actual: %s", te.Actual)
	default:
		fmt.Fprintf(&b, "   error: %v", err)
	}
	return b.String()
}

// specHandler is what h2spec wants to find at /: a body of some length for every method. The
// request is read to its end first, so that a fault in it is found before the answer has closed the
// stream.
func specHandler(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the stream has ended
	}
	io.WriteString(w, "hello, h2spec\n")
}

func TestH2SpecServer(t *testing.T) {
	cases := h2specServerCases()
	if len(cases) != h2specCases {
		t.Errorf("h2spec has %d cases for servers, want %d", len(cases), h2specCases)
	}
	handler := http.Handler(http.HandlerFunc(specHandler))
	for _, kind := range []struct {
		name    string
		secure  bool
		handler http.Handler
		adjust  []func(*server.Server)
	}{
		{"h2c", false, handler, []func(*server.Server){onlyHTTP2}},
		{"h2c beside HTTP/1.1", false, handler, nil},
		{"tls", true, handler, nil},
	} {
		t.Run(kind.name, func(t *testing.T) {
			runH2Spec(t, cases, startServer(t, kind.secure, kind.handler, kind.adjust...))
		})
	}
}

// TestH2SpecCommand runs h2spec against the program that users start: "sluice serve" with its demo
// site.
func TestH2SpecCommand(t *testing.T) {
	secure, clear := startCommand(t)
	t.Run("h2c", func(t *testing.T) { runH2Spec(t, h2specServerCases(), clear) })
	t.Run("tls", func(t *testing.T) { runH2Spec(t, h2specServerCases(), secure) })
}

func runH2Spec(t *testing.T, cases []specCase, ls *liveServer) {
	cfg := ls.h2specConfig(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := c.run(cfg); err != nil {
				t.Error(c.explain(err))
			}
		})
	}
}

// startCommand builds cmd/sluice, and runs "sluice serve" on ports of its own until the test ends.
func startCommand(t *testing.T) (secure, clear *liveServer) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sluice")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/sluice")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "serve", "--https", "127.0.0.1:0", "--http", "127.0.0.1:0", "--drain", "1s")
	cmd.Stderr = newTestLog(t)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := regexp.MustCompile(`^ +(https?)://([^/]+)/$`)
	for lines := bufio.NewScanner(out); (secure == nil || clear == nil) && lines.Scan(); {
		m := address.FindStringSubmatch(lines.Text())
		switch {
		case m == nil:
		case m[1] == "https":
			secure = &liveServer{Addr: m[2], URL: "https://" + m[2]}
		default:
			clear = &liveServer{Addr: m[2], URL: "http://" + m[2]}
		}
	}
	if secure == nil || clear == nil {
		t.Fatal("sluice serve has not said where it listens")
	}
	go io.Copy(io.Discard, out) // ends with the process
	return secure, clear
}

// h2specConfig is h2spec's own default configuration, strict, pointed at the server.
func (ls *liveServer) h2specConfig(t *testing.T) config.Config {
	host, port, err := net.SplitHostPort(ls.Addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return config.Config{
		Host: host, Port: n, Path: "/",
		Timeout:      20 * time.Second,
		MaxHeaderLen: 4000,
		Strict:       true,
		TLS:          strings.HasPrefix(ls.URL, "https:"),
		Insecure:     true,
	}
}

// A server that says nothing fails a case, and the failure names what was expected and what came.
func TestH2SpecFailureIsExplained(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	cfg := (&liveServer{Addr: l.Addr().String(), URL: "http://" + l.Addr().String()}).h2specConfig(t)
	for _, c := range h2specServerCases() {
		if c.name != "http2/3.5/1" {
			continue
		}
		err := c.run(cfg)
		if err == nil {
			t.Fatal("the case passed against a server that closes every connection")
		}
		text := c.explain(err)
		for _, want := range []string{c.Requirement, "expected: SETTINGS Frame", "actual: "} {
			if !strings.Contains(text, want) {
				t.Errorf("the explanation lacks %q:\n%s", want, text)
			}
		}
		return
	}
	t.Fatal("case http2/3.5/1 is not there")
}
