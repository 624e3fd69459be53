package benchmarks

import (
	"bufio"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// What "sluice inspect" has to keep, and tshark is measured beside.
const (
	captureFaster  = 5  // times the CPU time of tshark
	captureMemory  = 64 // MiB, whatever the file's size
	captureDefault = 8  // MiB
)

// TestCapture has "sluice inspect" and tshark print the frames of captures with their fields:
// downloads, requests with responses of 300 octets, and many connections that are open at once.
// SLUICE_CAPTURE_MIB is the size of the captures; tshark takes minutes for 1024. The table with
// more tools, of captures of real connections, is that of benchmarks/inspect.
func TestCapture(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("measures processes, on Linux")
	}
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	sluice := filepath.Join(dir, "sluice")
	if out, err := exec.Command("go", "build", "-o", sluice, "../cmd/sluice").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	size := captureDefault
	if s := os.Getenv("SLUICE_CAPTURE_MIB"); s != "" {
		if size, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name string
		play func(c *captureFile)
	}{
		{"downloads", playDownloads},
		{"requests", playRequests},
		{"connections", playConnections},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(dir, tt.name+".pcap")
			writeCapture(t, file, size<<20, tt.play)
			ours, memory := measure(t, exec.Command(sluice, "inspect", "--json", file))
			args := append(bench.TsharkFields(), "-d", "tcp.port==80,http2", "-r", file)
			theirs, theirMemory := measure(t, exec.Command(tshark, args...))
			t.Logf("%d MiB: %v and %d MiB of memory; tshark: %v and %d MiB; %.1f times faster",
				size, ours, memory, theirs, theirMemory, theirs.Seconds()/ours.Seconds())
			if theirs < captureFaster*ours {
				t.Errorf("less than %d times faster than tshark", captureFaster)
			}
			if memory > captureMemory {
				t.Errorf("more than %d MiB", captureMemory)
			}
		})
	}
}

// measure runs a program and returns its CPU time, and its memory in MiB.
func measure(t *testing.T, cmd *exec.Cmd) (time.Duration, int64) {
	t.Helper()
	u, err := bench.RunInspector(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return u.CPU, u.Peak >> 20
}

// A captureFile is a capture in the making: pcap, Ethernet and IPv4, 20 µs between packets.
type captureFile struct {
	w       *bufio.Writer
	written int
	size    int
	us      uint64
}

func writeCapture(t *testing.T, name string, size int, play func(c *captureFile)) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	c := &captureFile{w: bufio.NewWriterSize(f, 1<<20), size: size, us: 1_700_000_000_000_000}
	le := binary.LittleEndian
	h := le.AppendUint32(le.AppendUint32(nil, 0xa1b2c3d4), 2|4<<16)
	h = le.AppendUint32(le.AppendUint32(append(h, make([]byte, 8)...), 1<<18), 1)
	_, _ = c.w.Write(h) // Flush has the error
	play(c)
	if err := c.w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// more reports whether the capture is to go on.
func (c *captureFile) more() bool { return c.written < c.size }

// A captureConn is a connection in a captureFile. Directions are 0, the client's, and 1.
type captureConn struct {
	c     *captureFile
	host  uint16 // of the client
	port  uint16
	seq   [2]uint32
	codec [2]*h2test.Codec
	buf   []byte
}

const (
	captureClient, captureServer                   = 0, 1
	captureFIN, captureSYN, captureACK, captureMSS = 1, 2, 16, 1448
)

// conn begins a connection.
func (c *captureFile) conn(n int) *captureConn {
	p := &captureConn{
		c: c, host: uint16(n >> 14), port: uint16(40000 + n&0x3fff), seq: [2]uint32{1000, 500000},
		codec: [2]*h2test.Codec{h2test.NewCodec(), h2test.NewCodec()},
	}
	p.packet(captureClient, captureSYN, nil)
	p.packet(captureServer, captureSYN|captureACK, nil)
	p.packet(captureClient, captureACK, nil)
	window := frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 30}
	p.send(captureClient, frame.Preface, h2test.Settings(window), h2test.WindowUpdate(0, 1<<30))
	p.send(captureServer, h2test.Settings(), h2test.Ack)
	p.send(captureClient, h2test.Ack)
	return p
}

// send sends items in as many packets as they need.
func (p *captureConn) send(d int, items ...any) {
	p.buf = p.codec[d].Append(p.buf[:0], items...)
	for b := p.buf; len(b) > 0; {
		n := min(len(b), captureMSS)
		p.packet(d, captureACK, b[:n])
		b = b[n:]
	}
}

// end ends the connection.
func (p *captureConn) end() {
	p.packet(captureClient, captureFIN|captureACK, nil)
	p.packet(captureServer, captureFIN|captureACK, nil)
	p.packet(captureClient, captureACK, nil)
}

func (p *captureConn) packet(d int, flags byte, payload []byte) {
	be, le := binary.BigEndian, binary.LittleEndian
	c := p.c
	c.us += 20
	n := uint32(54 + len(payload))
	h := le.AppendUint32(make([]byte, 0, 70), uint32(c.us/1e6))
	h = le.AppendUint32(h, uint32(c.us%1e6))
	h = le.AppendUint32(le.AppendUint32(h, n), n)
	h = append(append(h, make([]byte, 12)...), 8, 0) // IPv4
	h = be.AppendUint16(append(h, 0x45, 0), uint16(40+len(payload)))
	h = append(h, 0, 0, 0x40, 0, 64, 6, 0, 0)
	ends := [2][4]byte{{10, 0, byte(p.host >> 8), byte(p.host)}, {192, 0, 2, 2}}
	ports := [2]uint16{p.port, 80}
	h = append(append(h, ends[d][:]...), ends[1-d][:]...)
	h = be.AppendUint16(be.AppendUint16(h, ports[d]), ports[1-d])
	h = be.AppendUint32(be.AppendUint32(h, p.seq[d]), p.seq[1-d])
	h = append(h, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	_, _ = c.w.Write(h) // Flush has the error
	_, _ = c.w.Write(payload)
	p.seq[d] += uint32(len(payload))
	if flags&(captureSYN|captureFIN) != 0 {
		p.seq[d]++
	}
	c.written += 16 + int(n)
}

// playDownloads has one response after the other of 100 MiB, in DATA of 16 KiB.
func playDownloads(c *captureFile) {
	p := c.conn(0)
	data := h2test.DataOf(1, 1<<14)
	for id := uint32(1); c.more(); id += 2 {
		p.send(captureClient, h2test.Get(id))
		p.send(captureServer, h2test.Response(id, 200))
		data.StreamID = id
		for i := 0; i < 6400 && c.more(); i++ {
			p.send(captureServer, data)
			if i%64 == 63 {
				p.send(captureClient, h2test.WindowUpdate(0, 1<<20), h2test.WindowUpdate(id, 1<<20))
			}
		}
		p.send(captureServer, h2test.DataEnd(id, ""))
	}
	p.end()
}

// playRequests has requests with responses of 300 octets, 10,000 to a connection.
func playRequests(c *captureFile) {
	for n := 0; c.more(); n++ {
		p := c.conn(n)
		for id := uint32(1); id < 20_000 && c.more(); id += 2 {
			p.send(captureClient, h2test.Get(id, "user-agent: curl/8.14.1", "accept: */*"))
			data := h2test.DataOf(id, 300)
			data.EndStream = true
			p.send(captureServer, h2test.Response(id, 200, "content-type: text/plain", "server: x"), data)
			p.send(captureClient, h2test.WindowUpdate(0, 300))
		}
		p.end()
	}
}

// playConnections has connections of a few requests that stay open.
func playConnections(c *captureFile) {
	for n := 0; c.more(); n++ {
		p := c.conn(n)
		for id := uint32(1); id < 20; id += 2 {
			p.send(captureClient, h2test.Get(id, "user-agent: curl/8.14.1", "accept: */*"))
			p.send(captureServer, h2test.Response(id, 200, "content-type: text/plain").End())
		}
	}
}
