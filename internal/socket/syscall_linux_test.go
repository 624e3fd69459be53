//go:build linux

package socket

import (
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair returns a TCP socket, and its peer, which a test may leave alone.
func pair(t *testing.T, network string) (nc, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen(network, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); p.Close() })
	return c.(*net.TCPConn), p.(*net.TCPConn)
}

// blockFor is how long a call that blocks does so in tests, so that a wrong one fails and does not
// stop the process, and one that does not block takes less on any machine.
const blockFor = 30 * time.Second

// block has the socket block, for blockFor.
func block(t *testing.T, nc *net.TCPConn) int {
	t.Helper()
	f, err := nc.File()
	if err != nil {
		t.Fatal(err)
	}
	fd := int(f.Fd()) // which makes it block
	t.Cleanup(func() { f.Close() })
	tv := syscall.NsecToTimeval(int64(blockFor))
	for _, opt := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, opt, &tv); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

func vectors(p []byte, cuts int) []syscall.Iovec {
	v := make([]syscall.Iovec, cuts)
	size := len(p) / cuts
	for i := range v {
		v[i].Base = &p[i*size]
		v[i].SetLen(size)
	}
	return v
}

// A call never waits for a socket that is in blocking mode.
func TestBlockingSocket(t *testing.T) {
	p := make([]byte, 4*maxRaw)
	for name, call := range map[string]func(fd int) (int, syscall.Errno){
		"Read":       func(fd int) (int, syscall.Errno) { return readFD(fd, p) },
		"Write":      func(fd int) (int, syscall.Errno) { return writeFD(fd, p[:maxRaw]) },
		"long Write": func(fd int) (int, syscall.Errno) { return writeFD(fd, p) },
		"Writev":     func(fd int) (int, syscall.Errno) { return writevFD(fd, vectors(p[:maxRaw], 4)) },
	} {
		t.Run(name, func(t *testing.T) {
			nc, _ := pair(t, "tcp")
			fd := block(t, nc)
			start := time.Now()
			for {
				n, errno := call(fd)
				if errno == syscall.EAGAIN {
					break
				}
				if n <= 0 || errno != 0 {
					t.Fatalf("%d, %v", n, errno)
				}
			}
			if d := time.Since(start); d > blockFor*3/4 {
				t.Errorf("it has waited for %v", d)
			}
		})
	}
}

// A descriptor that is no socket is read and written as well.
func TestNoSocket(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	in, out := int(r.Fd()), int(w.Fd())
	if n, errno := writeFD(out, []byte("ab")); n != 2 || errno != 0 {
		t.Errorf("Write: %d, %v", n, errno)
	}
	if n, errno := writevFD(out, vectors([]byte("cdef"), 2)); n != 4 || errno != 0 {
		t.Errorf("Writev: %d, %v", n, errno)
	}
	var b [10]byte
	if n, errno := readFD(in, b[:]); string(b[:max(n, 0)]) != "abcdef" || errno != 0 {
		t.Errorf("Read: %q, %v", b[:max(n, 0)], errno)
	}
}

func TestVectors(t *testing.T) {
	nc, peer := pair(t, "tcp")
	raw := Of(nc).raw
	want := strings.Repeat("0123456789", 100)
	err := raw.Write(func(fd uintptr) bool {
		if n, errno := writevFD(int(fd), vectors([]byte(want), 10)); n != len(want) || errno != 0 {
			t.Errorf("%d, %v", n, errno)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*len(want))
	n, err := peer.Read(got)
	if string(got[:n]) != want || err != nil {
		t.Errorf("%q, %v", got[:n], err)
	}
	runtime.KeepAlive(nc)
}

type embeds struct{ *net.TCPConn }

// What is taken for a socket is the socket itself, and carries a stream.
func TestSocket(t *testing.T) {
	nc, _ := pair(t, "tcp")
	unix := func(network string) net.Conn {
		l, err := net.ListenUnix(network, &net.UnixAddr{Name: t.TempDir() + "/s", Net: network})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.DialUnix(network, nil, l.Addr().(*net.UnixAddr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	for name, c := range map[string]struct {
		nc   net.Conn
		want bool
	}{
		"TCP":                     {nc, true},
		"unix":                    {unix("unix"), true},
		"unixpacket":              {unix("unixpacket"), false},
		"embedded pointer":        {embeds{nc}, false},
		"pointer to embedded one": {&embeds{nc}, false},
		"embedded interface":      {struct{ net.Conn }{nc}, false},
		"pipe":                    {here, false},
		"nil":                     {nil, false},
	} {
		if got := Of(c.nc) != nil; got != c.want {
			t.Errorf("%s: taken for a socket: %v, want %v", name, got, c.want)
		}
	}
}
