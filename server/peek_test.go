package server

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/socket"
)

// connectedPair returns the two ends of a connection of a network. That in memory is of kind
// Socket: what a peeker does is asked of deadlines that work, and of Reads that bring what there
// is.
func connectedPair(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	if network == "memory" {
		c, s := memconn.Pipe(memconn.Options{})
		return c, s
	}
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// TestPeeker: what a peeker has returned is there for the next reader, or was taken; and the end is
// seen behind part of a line.
func TestPeeker(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "memory"} {
		t.Run(network, func(t *testing.T) {
			client, server := connectedPair(t, network)
			defer client.Close()
			defer server.Close()
			r := newPeeker(server, nil)
			p := make([]byte, 3)
			read := func(want string, wantErr error) {
				t.Helper()
				n, err := r.Read(p)
				if string(p[:n]) != want || !errors.Is(err, wantErr) {
					t.Errorf("%q, %v; want %q, %v", p[:n], err, want, wantErr)
				}
			}
			_ = server.SetReadDeadline(time.Now().Add(-time.Second))
			read("", os.ErrDeadlineExceeded)
			_ = server.SetReadDeadline(time.Time{})
			_, _ = io.WriteString(client, "abcd")
			read("abc", nil)
			read("d", nil)
			left := r.untouched()
			if network == "tcp" && !left && socket.CanPeek {
				t.Error("the octets were taken")
			}
			_ = client.Close()
			read("", io.EOF)
			if err := r.consume(); err != nil {
				t.Error(err)
			}
			if n, err := server.Read(p); n != 0 || err != io.EOF {
				t.Errorf("behind what was taken: %q, %v", p[:n], err)
			}
		})
	}
}

// TestPeekerLeaves: another reader finds what a peeker has seen.
func TestPeekerLeaves(t *testing.T) {
	client, server := connectedPair(t, "tcp")
	defer client.Close()
	defer server.Close()
	r := newPeeker(server, nil)
	_, _ = io.WriteString(client, "abcd")
	p := make([]byte, 16)
	n, err := r.Read(p)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	_ = client.Close()
	want := "abcd"
	if !r.untouched() {
		want = want[n:]
	}
	if b, err := io.ReadAll(server); string(b) != want || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
