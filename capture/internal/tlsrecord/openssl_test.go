package tlsrecord

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// A process is openssl, with what it has printed.
type process struct {
	t     *testing.T
	in    io.WriteCloser
	cmd   *exec.Cmd
	mu    sync.Mutex
	out   []byte
	grown chan struct{} // has an element once out has grown
	done  chan struct{}
}

// Write takes what is printed.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	p.out = append(p.out, b...)
	p.mu.Unlock()
	select {
	case p.grown <- struct{}{}:
	default:
	}
	return len(b), nil
}

// start runs openssl.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	p := &process{t: t, cmd: exec.Command(program, args...), grown: make(chan struct{}, 1), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// say writes a line to the process.
func (p *process) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatalf("openssl %s: %v: %s", p.cmd.Args[1], err, p.out)
	}
}

// await waits until the process has printed what the pattern matches, behind what was awaited
// before, and returns the submatches.
func (p *process) await(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(time.Minute)
	for {
		p.mu.Lock()
		if m := re.FindSubmatchIndex(p.out); m != nil {
			found := re.FindStringSubmatch(string(p.out))
			p.out = p.out[m[1]:]
			p.mu.Unlock()
			return found
		}
		p.mu.Unlock()
		select {
		case <-p.grown:
		case <-deadline:
			p.t.Fatalf("openssl %s: no %q in %s", p.cmd.Args[1], pattern, p.out)
		}
	}
}

// relay forwards one connection to an address, and keeps what passes. The channel is closed once
// the connection is over.
func relay(t *testing.T, to string, tp *tape) (addr string, over <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		client, err := l.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer server.Close()
		var both sync.WaitGroup
		forward := func(d wire.Dir, from, to net.Conn) {
			io.Copy(&taped{to, d, tp}, from)
			to.(*net.TCPConn).CloseWrite()
		}
		both.Go(func() { forward(wire.Client, client, server) })
		both.Go(func() { forward(wire.Server, server, client) })
		both.Wait()
	}()
	return l.Addr().String(), done
}

// pemFiles writes the certificates of these tests to files, for options of openssl.
func pemFiles(t *testing.T) []string {
	t.Helper()
	rsaCert, ecdsaCert := certificates()
	var args []string
	for i, cert := range []struct {
		der []byte
		key any
		opt string
	}{{rsaCert.Certificate[0], rsaCert.PrivateKey, "-"}, {ecdsaCert.Certificate[0], ecdsaCert.PrivateKey, "-d"}} {
		key, err := x509.MarshalPKCS8PrivateKey(cert.key)
		if err != nil {
			t.Fatal(err)
		}
		text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.der}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
		file := filepath.Join(t.TempDir(), string(rune('a'+i)))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, cert.opt+"cert", file, cert.opt+"key", file)
	}
	return args
}

// A dialogue is a server of openssl, and what its clients do.
type dialogue struct {
	t      *testing.T
	server *process
	addr   string
	keyLog string // file
}

func newDialogue(t *testing.T, args ...string) *dialogue {
	t.Helper()
	g := &dialogue{t: t, keyLog: filepath.Join(t.TempDir(), "keys")}
	args = append([]string{"s_server", "-accept", "127.0.0.1:0"}, args...)
	g.server = start(t, append(args, pemFiles(t)...)...)
	g.addr = g.server.await(`ACCEPT (127\.0\.0\.1:\d+)`)[1]
	return g
}

// client has a client of openssl connect, and returns what has passed once script has returned and
// the client has quit.
func (g *dialogue) client(script func(c *process, x *exchange), args ...string) *exchange {
	g.t.Helper()
	x := &exchange{tape: tape{grown: make(chan struct{}, 1)}}
	addr, over := relay(g.t, g.addr, &x.tape)
	c := start(g.t, append([]string{"s_client", "-connect", addr, "-keylogfile", g.keyLog}, args...)...)
	script(c, x)
	c.say("Q")
	<-over
	<-c.done
	text, err := os.ReadFile(g.keyLog)
	if err != nil {
		g.t.Fatal(err)
	}
	x.keyLog.Write(text)
	return x
}

// want checks the plaintext that a Conn finds.
func (x *exchange) want(t *testing.T, client, server string) *result {
	t.Helper()
	r := play(x.keys(), Options{}, x.pieces)
	for d, want := range []string{client, server} {
		if got := string(r.got[d]); got != want {
			t.Errorf("%v: %q, want %q: %s", wire.Dir(d), got, want, r.why[d])
		}
		if len(r.lost[d]) > 0 {
			t.Errorf("%v: lost %v", wire.Dir(d), r.lost[d])
		}
	}
	return r
}

// line has a side send a line, and waits until the other one prints it.
func line(from, to *process, text string) {
	from.t.Helper()
	from.say(text)
	to.await(regexp.QuoteMeta(text))
}
