package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// recordedPackets are the packets of a file in a short form, "key" for a Decryption Secrets Block.
// The sequence numbers begin with 0.
func recordedPackets(t *testing.T, file []byte) (lines []string) {
	t.Helper()
	types, _ := ngBlocks(t, file)
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]uint32{}
	for _, typ := range types {
		switch typ {
		case ngSecrets:
			lines = append(lines, "key")
		case ngPacket:
			data, _, err := r.ReadPacketData()
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, packetLine(t, data, first))
		}
	}
	return lines
}

func packetLine(t *testing.T, data []byte, first map[string]uint32) string {
	t.Helper()
	decoder := gopacket.Decoder(layers.LayerTypeIPv4)
	if data[0]>>4 == 6 {
		decoder = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(data, decoder, gopacket.Default)
	tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		t.Fatalf("no TCP: %v", p)
	}
	flow := p.NetworkLayer().NetworkFlow()
	from, to := fmt.Sprint(flow.Src(), tcp.SrcPort), fmt.Sprint(flow.Dst(), tcp.DstPort)
	if tcp.SYN {
		first[from] = tcp.Seq
	}
	flags := ""
	for _, f := range []struct {
		set  bool
		name string
	}{{tcp.SYN, "SYN "}, {tcp.FIN, "FIN "}, {tcp.RST, "RST "}} {
		if f.set {
			flags += f.name
		}
	}
	ack := uint32(0)
	if tcp.ACK {
		ack = tcp.Ack - first[to]
	}
	payload := tcp.LayerPayload()
	if len(payload) > 20 {
		payload = fmt.Appendf(nil, "%d octets", len(payload))
	}
	return fmt.Sprintf("%v %s%d:%d %s", flow.Src(), flags, tcp.Seq-first[from], ack, payload)
}

// oddConn is a connection of which the test decides what Read and Write return.
type oddConn struct {
	net.Conn
	local, remote net.Addr
	read          func(p []byte) (int, error)
	write         func(p []byte) (int, error)
	closed        bool
}

func (c *oddConn) Read(p []byte) (int, error)  { return c.read(p) }
func (c *oddConn) Write(p []byte) (int, error) { return c.write(p) }
func (c *oddConn) LocalAddr() net.Addr         { return c.local }
func (c *oddConn) RemoteAddr() net.Addr        { return c.remote }

func (c *oddConn) Close() error {
	c.closed = true
	return nil
}

// halfConn is one with CloseWrite.
type halfConn struct{ *oddConn }

func (halfConn) CloseWrite() error   { return nil }
func (halfConn) SetLinger(int) error { return nil }

func newOddConn() *oddConn {
	return &oddConn{
		local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1}, remote: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 2},
		write: func(p []byte) (int, error) { return len(p), nil },
	}
}

// answer has Read return these octets and an error.
func (c *oddConn) answer(t *testing.T, nc net.Conn, octets string, err error) {
	t.Helper()
	c.read = func(p []byte) (int, error) { return copy(p, octets), err }
	b := make([]byte, len(octets)+1)
	if n, got := nc.Read(b); string(b[:n]) != octets || !errors.Is(got, err) {
		t.Errorf("Read returned %q, %v", b[:n], got)
	}
}

func newRecording(t *testing.T) (*PcapWriter, *bytes.Buffer) {
	t.Helper()
	var file bytes.Buffer
	w, err := NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	return w, &file
}

const (
	client10 = "10.0.0.1 SYN 0:0 |10.0.0.2 SYN 0:1 |10.0.0.1 1:1 |"
	reset    = "connection reset"
)

// What is read, written and closed becomes TCP as it would be on the wire.
func TestPcapWriterPackets(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(t *testing.T, nc net.Conn, c *oddConn)
		want string
	}{
		{"an exchange", func(t *testing.T, nc net.Conn, c *oddConn) {
			_, _ = nc.Write([]byte("hello"))
			c.answer(t, nc, "you", nil)
			c.answer(t, nc, "", os.ErrDeadlineExceeded)
			c.answer(t, nc, "too", io.EOF)
			nc.Close()
			nc.Close()
		}, client10 + "10.0.0.1 1:1 hello|10.0.0.2 1:6 you|10.0.0.2 4:6 too|10.0.0.2 FIN 7:6 |10.0.0.1 FIN 6:8 "},
		{"a write that is cut off, and goes on", func(_ *testing.T, nc net.Conn, c *oddConn) {
			c.write = func(p []byte) (int, error) { return 2, os.ErrDeadlineExceeded }
			n, err := nc.Write([]byte("hello"))
			c.write = func(p []byte) (int, error) { return len(p), nil }
			if n != 2 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write returned %d, %v", n, err)
			}
			_, _ = nc.Write([]byte("llo you"))
		}, client10 + "10.0.0.1 1:1 hello|10.0.0.1 3:1 llo you"},
		{"a long write", func(t *testing.T, nc net.Conn, _ *oddConn) {
			if n, err := nc.Write(make([]byte, 70_000)); n != 70_000 || err != nil {
				t.Errorf("Write returned %d, %v", n, err)
			}
		}, client10 + "10.0.0.1 1:1 32768 octets|10.0.0.1 32769:1 32768 octets|10.0.0.1 65537:1 4464 octets"},
		{"a long read", func(t *testing.T, nc net.Conn, c *oddConn) {
			c.answer(t, nc, strings.Repeat("a", 40_000), nil)
		}, client10 + "10.0.0.2 1:1 32768 octets|10.0.0.2 32769:1 7232 octets"},
		{"reset by the peer", func(t *testing.T, nc net.Conn, c *oddConn) {
			c.answer(t, nc, "", fmt.Errorf("%s: %w", reset, syscall.ECONNRESET))
			c.write = func([]byte) (int, error) { return 0, syscall.EPIPE }
			_, _ = nc.Write([]byte("x"))
		}, client10 + "10.0.0.2 RST 1:1 |10.0.0.1 1:1 x"},
		{"half closed", func(t *testing.T, nc net.Conn, c *oddConn) {
			_, _ = nc.Write([]byte("x"))
			_ = nc.(halfCloser).CloseWrite()
			c.write = func([]byte) (int, error) { return 0, net.ErrClosed }
			_, _ = nc.Write([]byte("late"))
			c.answer(t, nc, "you", nil)
			nc.Close()
		}, client10 + "10.0.0.1 1:1 x|10.0.0.1 FIN 2:1 |10.0.0.2 1:3 you"},
		{"reset", func(_ *testing.T, nc net.Conn, _ *oddConn) {
			_ = nc.(interface{ SetLinger(sec int) error }).SetLinger(0)
			nc.Close()
		}, client10 + "10.0.0.1 RST 1:1 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, file := newRecording(t)
			c := newOddConn()
			tt.play(t, w.WrapConn(halfConn{c}, Client), c)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(recordedPackets(t, file.Bytes()), "|"); got != tt.want {
				t.Errorf("recorded\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// Addresses of the server's side, of IPv6, and those that are none.
func TestPcapWriterAddresses(t *testing.T) {
	six := &net.TCPAddr{IP: net.ParseIP("2001:db8::6"), Port: 3}
	seven := &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 3}
	for _, tt := range []struct {
		local, remote net.Addr
		want          string
	}{
		{newOddConn().local, newOddConn().remote, "10.0.0.2 SYN 0:0 |10.0.0.1 SYN 0:1 |10.0.0.2 1:1 "},
		{six, seven, "2001:db8::7 SYN 0:0 |2001:db8::6 SYN 0:1 |2001:db8::7 1:1 "},
		{six, newOddConn().remote, "10.0.0.2 SYN 0:0 |2001:db8::6 SYN 0:1 |10.0.0.2 1:1 "}, // mapped to IPv6
		{&net.UnixAddr{Name: "@", Net: "unix"}, nil, "192.0.2.1 SYN 0:0 |192.0.2.2 SYN 0:1 |192.0.2.1 1:1 "},
	} {
		w, file := newRecording(t)
		nc := w.WrapConn(&oddConn{local: tt.local, remote: tt.remote}, Server)
		if _, ok := nc.(halfCloser); ok {
			t.Error("a connection without CloseWrite has it")
		}
		_ = w.Close()
		if got := strings.Join(recordedPackets(t, file.Bytes()), "|"); got != tt.want {
			t.Errorf("recorded\n%s\nwant\n%s", got, tt.want)
		}
	}
}

// diskFull is a file that fails from some octet on.
type diskFull struct{ left int }

func (d *diskFull) Write(p []byte) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// An error of the file ends the recording, and not the connection.
func TestPcapWriterFileFails(t *testing.T) {
	if _, err := NewPcapWriter(&diskFull{10}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("NewPcapWriter: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		w, err := NewPcapWriter(&diskFull{5000})
		if err != nil {
			t.Fatal(err)
		}
		nc := w.WrapConn(newOddConn(), Client)
		keys := w.KeyLogWriter()
		time.Sleep(flushDelay)
		if w.Err() != nil {
			t.Error(w.Err())
		}
		for range 100 {
			if n, err := nc.Write(make([]byte, 1000)); n != 1000 || err != nil {
				t.Fatalf("Write returned %d, %v", n, err)
			}
			line := fmt.Sprintf("CLIENT_RANDOM %064x %096x\n", 1, 2)
			if n, err := io.WriteString(keys, line); n != len(line) || err != nil {
				t.Fatalf("KeyLogWriter returned %d, %v", n, err)
			}
		}
		for _, err := range []error{w.Err(), w.Close(), w.Close()} {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the error is %v", err)
			}
		}
		if err := nc.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What is recorded is in the file soon, and nothing is after Close.
func TestPcapWriterFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, file := newRecording(t)
		nc := w.WrapConn(newOddConn(), Client)
		for i := range 3 {
			_, _ = nc.Write([]byte("x"))
			time.Sleep(flushDelay)
			synctest.Wait()
			if got := len(recordedPackets(t, file.Bytes())); got != 4+i {
				t.Errorf("%d packets are in the file, want %d", got, 4+i)
			}
		}
		_, _ = nc.Write([]byte("x"))
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		_, _ = nc.Write([]byte("x"))
		_ = w.WrapConn(newOddConn(), Client)
		time.Sleep(time.Hour)
		if got := len(recordedPackets(t, file.Bytes())); got != 7 {
			t.Errorf("%d packets are in the file, want 7", got)
		}
	})
}

func TestCreatePcap(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.pcapng")
	if err := os.WriteFile(name, bytes.Repeat([]byte("x"), 10_000), 0o644); err != nil { //nolint:gosec // to be replaced
		t.Fatal(err)
	}
	w, err := CreatePcap(name)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.WrapConn(newOddConn(), Client)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	file, err := os.ReadFile(name)
	if err != nil || len(recordedPackets(t, file)) != 3 {
		t.Errorf("it has %d octets, %v", len(file), err)
	}
	if _, err := CreatePcap(filepath.Join(name, "b")); err == nil {
		t.Error("a file below a file was made")
	}
}
