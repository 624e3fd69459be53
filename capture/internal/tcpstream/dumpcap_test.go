package tcpstream

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// dumpcap starts a capture of a port, as a stream, that stop ends.
func dumpcap(t *testing.T, port uint16, interfaces ...string) (r *packet.Reader, stop context.CancelFunc) {
	t.Helper()
	if _, err := exec.LookPath("dumpcap"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("dumpcap must be there in CI")
		}
		t.Skip("dumpcap is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	args := []string{"-q", "-B", "32", "-w", "-", "-f", fmt.Sprint("tcp port ", port)}
	for _, i := range interfaces {
		args = append(args, "-i", i)
	}
	cmd := exec.CommandContext(ctx, "dumpcap", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	r, err = packet.NewReader(out, packet.Options{}) // dumpcap writes the header when it is ready
	if err != nil {
		cancel()
		_ = cmd.Wait()
		t.Skipf("nothing can be captured here: %v\n%s", err, stderr.String())
	}
	return r, cancel
}

// pattern is octets that are different everywhere.
func pattern(n int) []byte {
	b, r := make([]byte, n), rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// exchange has the client send chunks, and the server answer each with its first octet.
func exchange(ln net.Listener, sent []byte, chunk int) error {
	done := make(chan error, 1)
	go func() { done <- answer(ln, chunk) }()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	for b := sent; len(b) > 0; b = b[chunk:] {
		if _, err := c.Write(b[:chunk]); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return err
		}
	}
	if err := c.Close(); err != nil {
		return err
	}
	return <-done
}

// answer is the server of exchange.
func answer(ln net.Listener, chunk int) error {
	c, err := ln.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	for b := make([]byte, chunk); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return nil // the client has ended
		}
		if _, err := c.Write(b[:1]); err != nil {
			return err
		}
	}
}

// push has small connections until stop is closed, and not too many, since each takes a port:
// dumpcap hands packets on once there are some, and drops what comes faster than it writes.
func push(ln net.Listener, stop chan struct{}) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		if err := exchange(ln, nil, 1); err != nil {
			return err
		}
	}
	return nil
}

// follower is a Sink that compares octets with those sent.
type follower struct {
	t     *testing.T
	c     *Conn
	sent  [2][]byte
	pos   [2]int
	ended int
	whole bool // its end was seen
}

func (f *follower) Octets(d wire.Dir, _ time.Time, p []byte) {
	n := f.pos[d] + len(p)
	if n > len(f.sent[d]) || !bytes.Equal(f.sent[d][f.pos[d]:n], p) {
		f.t.Errorf("the %v has not sent %d octets at %d", d, len(p), f.pos[d])
	}
	f.pos[d] = n
}

func (f *follower) Lost(d wire.Dir, _ time.Time, n int64, _ string) {
	f.pos[d] += int(n)
}

func (f *follower) End(_ wire.Dir, _ time.Time, how wire.How) {
	f.ended++
	f.whole = how == wire.Closed
}

// read follows the first connection, up to its end, or to those of so many others that its own is
// lost.
func (f *follower) read(r *packet.Reader) {
	others := 0
	a := New(func(c *Conn) wire.Sink {
		if f.c != nil {
			others++
			return &nothing{}
		}
		f.c = c
		return f
	}, Options{})
	for f.ended < 2 && others < 20 {
		s, err := r.Next()
		if err != nil {
			f.t.Logf("the ends are not in the capture, but %d other connections: %v", others, err)
			break
		}
		a.Add(s)
	}
	a.Close()
}

// TestDumpcap captures connections that the kernel carries, on one interface and on two that have
// the same packets. A slow machine drops some: all octets are handed on, or lost.
func TestDumpcap(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for dumpcap")
	}
	for _, interfaces := range [][]string{{"lo"}, {"any"}, {"lo", "any"}} {
		t.Run(fmt.Sprint(interfaces), func(t *testing.T) {
			testDumpcap(t, interfaces)
		})
	}
}

func testDumpcap(t *testing.T, interfaces []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	server := netip.MustParseAddrPort(ln.Addr().String())
	r, kill := dumpcap(t, server.Port(), interfaces...)
	const chunk = 20_000
	f := &follower{t: t}
	f.sent[c2s] = pattern(50 * chunk)
	for i := 0; i < len(f.sent[c2s]); i += chunk {
		f.sent[s2c] = append(f.sent[s2c], f.sent[c2s][i])
	}
	stop, pushed := make(chan struct{}), make(chan error, 1)
	go func() {
		err := exchange(ln, f.sent[c2s], chunk)
		if err == nil {
			err = push(ln, stop)
		}
		kill() // with more than one interface, it may hand on nothing any more
		pushed <- err
	}()

	f.read(r)
	close(stop)
	if err := <-pushed; err != nil {
		t.Fatal(err)
	}
	if f.c == nil && len(interfaces) > 1 {
		t.Skip("dumpcap has handed on nothing")
	}
	if f.c == nil || f.c.Server != server {
		t.Fatalf("the connection is %+v", f.c)
	}
	for d := range wire.Dir(2) {
		t.Logf("%v: %+v", d, f.c.Counts(d))
		if f.whole && f.pos[d] != len(f.sent[d]) {
			t.Errorf("%d octets of the %v, not %d", f.pos[d], d, len(f.sent[d]))
		}
	}
}
