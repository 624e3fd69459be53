package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
)

// A tlsProgram is openssl s_server: it ends TLS, and what it carries goes through its standard
// input and output.
type tlsProgram struct {
	t    *testing.T
	addr string
	in   io.WriteCloser
	out  io.Reader
}

// startOpenSSL starts a server of one connection after another, and waits until it listens.
func startOpenSSL(t *testing.T, args ...string) *tlsProgram {
	t.Helper()
	path := requirePeer(t, "openssl")
	s := prepare(t)
	port := freePort(t)
	args = append([]string{
		"s_server", "-accept", fmt.Sprintf("127.0.0.1:%d", port), "-key", s.key, "-cert", s.cert, "-alpn", "h2",
	}, args...)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	p := &tlsProgram{t: t}
	var err error
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, outWriter := io.Pipe()
	p.out, cmd.Stdout = out, outWriter
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		out.Close()
		_ = cmd.Wait() // killed
	})
	awaitListener(t, port)
	p.addr = fmt.Sprintf("127.0.0.1:%d", port)
	return p
}

// awaitListener waits until a port of the loopback address is listened on, without a connection,
// and without listening there itself, which might be when the program wants to.
func awaitListener(t *testing.T, port int) {
	t.Helper()
	give := time.After(peerTimeout)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	listening := regexp.MustCompile(fmt.Sprintf(`: 0100007F:%04X 00000000:0000 0A `, port))
	for {
		table, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			peerMissing(t, err.Error())
		}
		if listening.Match(table) {
			return
		}
		select {
		case <-tick.C:
		case <-give:
			t.Fatalf("nothing listens on port %d", port)
		}
	}
}

// helloRetried captures a connection whose server wants another group, and says so in
// HelloRetryRequest.
func helloRetried(t *testing.T) captured {
	p := startOpenSSL(t, "-quiet", "-groups", "P-384", "-tls1_3")
	ls := startServer(t, false, testHandler())
	backend, err := net.Dial("tcp", ls.Addr)
	if err != nil {
		t.Fatal(err)
	}
	var relays sync.WaitGroup
	relays.Go(func() { _, _ = io.Copy(backend, p.out) }) // until the program ends
	relays.Go(func() { _, _ = io.Copy(p.in, backend) })
	t.Cleanup(func() {
		backend.Close()
		p.in.Close()
		p.out.(*io.PipeReader).Close()
		relays.Wait()
	})
	r := record(t, p.addr)
	var k keyLog
	tr := newTransport(t, func(tr *client.Transport) {
		tr.TLSClientConfig.KeyLogWriter = &k
		tr.TLSClientConfig.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
	})
	fetchAnyway(t, tr, "https://"+p.addr+"/hello")
	fetchAnyway(t, tr, "https://"+p.addr+"/some")
	tr.CloseIdleConnections()
	return captured{file: r.stop(), keyLog: k.bytes()}
}

// await waits until the program's output has one of the octets that are looked for, and returns
// when it has.
func (p *tlsProgram) await(what string, octets []byte) {
	p.t.Helper()
	var seen []byte
	b := make([]byte, 4<<10)
	for !bytes.Contains(seen, octets) {
		n, err := p.out.Read(b)
		if err != nil {
			p.t.Fatalf("waiting for %s: %v\n%q", what, err, seen)
		}
		seen = append(seen, b[:n]...)
	}
}

// write has the program send octets, or do what they say if they begin with a command.
func (p *tlsProgram) write(octets []byte) {
	p.t.Helper()
	if _, err := p.in.Write(octets); err != nil {
		p.t.Fatal(err)
	}
}

// keysUpdated captures a connection whose keys both sides change twice (RFC 8446 §4.6.3). The
// program takes lines that begin with K as the command to do that; frames begin with a zero.
func keysUpdated(t *testing.T) captured {
	p := startOpenSSL(t, "-tls1_3")
	r := record(t, p.addr)
	var k keyLog
	tr := newTransport(t, func(tr *client.Transport) { tr.TLSClientConfig.KeyLogWriter = &k })
	hello := frame.AppendSettings(nil, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 10})
	for i := range uint32(3) {
		id := 2*i + 1
		done := make(chan error, 1)
		go func() { done <- fetch(t.Context(), tr, fmt.Sprintf("https://%s/%d", p.addr, i)) }()
		// Its HEADERS frame ends the stream and the block.
		p.await("a request", []byte{byte(frame.TypeHeaders), 5, 0, 0, 0, byte(id)})
		answer := frame.Headers{StreamID: id, EndHeaders: true, Fragment: []byte{0x88}}.Append(hello)
		p.write(frame.Data{StreamID: id, EndStream: true, Data: []byte("answer")}.Append(answer))
		hello = nil
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			p.write([]byte("K\n"))
			p.await("the update of keys", []byte("SSL_do_handshake -> 1\n"))
		}
	}
	tr.CloseIdleConnections()
	return captured{file: r.stop(), keyLog: k.bytes()}
}
