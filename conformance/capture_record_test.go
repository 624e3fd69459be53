package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

// A recording is what dumpcap captures of some ports of the loopback interface, from the time when
// record returns until stop is called.
type recording struct {
	t      *testing.T
	cmd    *exec.Cmd
	marker net.Conn // datagrams that are captured, too: they tell how far dumpcap is
	tick   *time.Ticker
	kill   func()

	mu    sync.Mutex
	file  []byte // what dumpcap has written
	more  chan struct{}
	ended chan struct{}
}

// record starts to capture TCP from and to ports of the loopback addresses. The test is skipped
// where that is not allowed.
func record(t *testing.T, addrs ...string) *recording {
	t.Helper()
	dumpcap := requirePeer(t, "dumpcap")
	target, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close() })
	filter := fmt.Sprintf("udp dst port %d", target.LocalAddr().(*net.UDPAddr).Port)
	for _, addr := range addrs {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		filter += " or tcp port " + port
	}
	r := &recording{t: t, more: make(chan struct{}, 1), ended: make(chan struct{})}
	if r.marker, err = net.Dial("udp", target.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.marker.Close() })
	r.cmd = exec.CommandContext(t.Context(), dumpcap, "-q", "-i", loopbackName(t), "-B", "64", "-f", filter, "-w", "-")
	stderr := &bytes.Buffer{}
	r.cmd.Stderr = stderr
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.kill = ownGroup(r.cmd)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	r.tick = time.NewTicker(20 * time.Millisecond)
	t.Cleanup(r.tick.Stop)
	go r.collect(out)
	if !r.reached() {
		_ = r.cmd.Wait() // the reason is in stderr
		reason := "dumpcap cannot capture: " + strings.TrimSpace(stderr.String())
		if strings.Contains(reason, "permission") {
			t.Skip(reason) // a right that no package gives
		}
		peerMissing(t, reason)
	}
	return r
}

// loopbackName is the name of the loopback interface.
func loopbackName(t *testing.T) string {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Skip("this machine has no loopback interface")
	return ""
}

// collect keeps what dumpcap writes.
func (r *recording) collect(out io.Reader) {
	defer close(r.ended)
	b := make([]byte, 64<<10)
	for {
		n, err := out.Read(b)
		r.mu.Lock()
		r.file = append(r.file, b[:n]...)
		r.mu.Unlock()
		select {
		case r.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// reached waits until what is sent from now on, or was sent before, is captured; false says that
// dumpcap has ended.
func (r *recording) reached() bool {
	r.t.Helper()
	give := time.After(rawTimeout)
	mark := fmt.Appendf(nil, "mark %016x", rand.Uint64())
	for {
		if _, err := r.marker.Write(mark); err != nil {
			r.t.Fatal(err)
		}
		r.mu.Lock()
		found := bytes.Contains(r.file, mark)
		r.mu.Unlock()
		if found {
			return true
		}
		select {
		case <-r.more:
		case <-r.tick.C:
		case <-r.ended:
			return false
		case <-give:
			r.t.Fatal("dumpcap captures nothing")
		}
	}
}

// stop ends the capture when all that was sent before is in it, and returns the file, pcapng.
func (r *recording) stop() []byte {
	r.t.Helper()
	if !r.reached() {
		r.t.Fatal("dumpcap has ended early")
	}
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Fatal(err)
	}
	<-r.ended
	_ = r.cmd.Wait() // it was interrupted
	return r.file
}

// capturedPacket is a packet of a capture.
type capturedPacket struct {
	gopacket.CaptureInfo
	data []byte
}

// packetsOf reads the packets of a recording without the marks.
func packetsOf(t *testing.T, file []byte) (packets []capturedPacket) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return packets
		}
		if err != nil {
			t.Fatal(err)
		}
		if segment := tcpOf(data); segment != nil {
			packets = append(packets, capturedPacket{info, data})
		}
	}
}

// pcapOf writes packets as pcap with nanoseconds, whose link is Ethernet, as the loopback interface
// of Linux has it.
func pcapOf(t *testing.T, packets []capturedPacket) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(262144, 1); err != nil {
		t.Fatal(err)
	}
	for _, p := range packets {
		if err := w.WritePacket(p.CaptureInfo, p.data); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// writeCapture writes a file for programs to read.
func writeCapture(t *testing.T, name string, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
