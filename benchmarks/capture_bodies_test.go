package benchmarks

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/sluice-go/sluice/internal/h2test"
)

// bodies are captures whose contents take as much memory as they can: they become a thousand times
// longer, have many codings, come all at once, or wait for the end of their exchange.
var bodies = []struct {
	name string
	play func(c *captureFile)
	cut  string // what the output says
}{
	{"zeros", func(c *captureFile) {
		playBombs(c, gzipped(make([]byte, 40<<20)), text, "content-encoding: gzip")
	}, "the rest is not"},
	{"text", func(c *captureFile) {
		playBombs(c, gzipped(bytes.Repeat([]byte("abcdefg\n"), 5<<20)), text, "content-encoding: gzip")
	}, "the rest is not"},
	{"noise", func(c *captureFile) {
		playBombs(c, gzipped(bytes.Repeat(noise(30<<10), 1000)), text, "content-encoding: gzip")
	}, "the rest is not"},
	{"messages", func(c *captureFile) {
		message := gzipped(make([]byte, 3<<20))
		message = append(binary.BigEndian.AppendUint32([]byte{1}, uint32(len(message))), message...)
		playBombs(c, bytes.Repeat(message, 300), "content-type: application/grpc", "grpc-encoding: gzip")
	}, "is not decoded"},
	{"windows-of-br", func(c *captureFile) {
		playBombs(c, nested(brotlied), text, "content-encoding: "+strings.Repeat("br,", 8))
	}, "is not decoded"},
	{"windows-of-zstd", func(c *captureFile) {
		playBombs(c, nested(zstded), text, "content-encoding: "+strings.Repeat("zstd,", 8))
	}, "is not decoded"},
	{"all-at-once", playWaiting, "the rest is not kept"},
	{"without-a-response", playKept, "the rest is not"},
}

// text is a field of what is text.
const text = "content-type: text/plain"

// bodiesVariable is a folder that TestCaptureBodies writes its captures to, in a process of its
// own: a child has the most memory that its parent had as its least.
const bodiesVariable = "SLUICE_CAPTURE_BODIES"

// TestCaptureBodies has "sluice inspect --bodies" read bodies.
func TestCaptureBodies(t *testing.T) {
	if dir := os.Getenv(bodiesVariable); dir != "" {
		for _, tt := range bodies {
			writeCapture(t, filepath.Join(dir, tt.name), 1<<30, tt.play)
		}
		return
	}
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("measures processes, on Linux")
	}
	dir := t.TempDir()
	sluice := filepath.Join(dir, "sluice")
	write := exec.Command(os.Args[0], "-test.run=^TestCaptureBodies$")
	write.Env = append(os.Environ(), bodiesVariable+"="+dir)
	for _, cmd := range []*exec.Cmd{write, exec.Command("go", "build", "-o", sluice, "../cmd/sluice")} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, tt := range bodies {
		for _, output := range []string{"--color=never", "--json", "--as=http1"} {
			t.Run(tt.name+output, func(t *testing.T) {
				cmd := exec.Command(sluice, "inspect", "--bodies", output, filepath.Join(dir, tt.name))
				said := &finder{text: []byte(tt.cut)}
				cmd.Stdout = said
				cpu, memory := measure(t, cmd)
				t.Logf("%v and %d MiB of memory for %d octets of output", cpu, memory, said.octets)
				if memory > captureMemory {
					t.Errorf("more than %d MiB", captureMemory)
				}
				if !said.found {
					t.Errorf("the output does not say %q", tt.cut)
				}
			})
		}
	}
}

// A finder finds a text in what is written.
type finder struct {
	text   []byte
	last   []byte
	found  bool
	octets int
}

func (f *finder) Write(p []byte) (int, error) {
	f.octets += len(p)
	f.last = append(f.last, p...)
	f.found = f.found || bytes.Contains(f.last, f.text)
	f.last = append(f.last[:0], f.last[max(0, len(f.last)-len(f.text)):]...)
	return len(p), nil
}

// noise is what cannot be compressed.
func noise(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(p) // has no errors
	return p
}

func gzipped(p []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(p) // to memory
	_ = w.Close()
	return b.Bytes()
}

func brotlied(p []byte) []byte {
	var b bytes.Buffer
	w := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 1, LGWin: 24})
	_, _ = w.Write(p) // to memory
	_ = w.Close()
	return b.Bytes()
}

func zstded(p []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20), zstd.WithSingleSegment(false))
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(p, nil)
}

// nested is what is as long as can be within each of eight codings.
func nested(code func([]byte) []byte) []byte {
	p := noise(3 << 20)
	for range 8 {
		p = code(p)
	}
	return p
}

// playBombs has responses of the same content, four at a time.
func playBombs(c *captureFile, content []byte, fields ...string) {
	p := c.conn(0)
	for id := uint32(1); id < 16; id += 8 {
		for i := range uint32(4) {
			p.send(captureClient, h2test.Get(id+2*i))
			p.send(captureServer, h2test.Response(id+2*i, 200, fields...))
		}
		for piece := range slices.Chunk(content, 1<<14) {
			for i := range uint32(4) {
				p.send(captureServer, h2test.Data(id+2*i, string(piece)))
			}
		}
		for i := range uint32(4) {
			p.send(captureServer, h2test.DataEnd(id+2*i, ""))
		}
	}
	p.end()
}

// playWaiting has 40 responses of 2 MiB side by side, of which the last octet comes at the end.
func playWaiting(c *captureFile) {
	p := c.conn(0)
	text := strings.Repeat("a line of text\n", 1<<14/15)
	for id := uint32(1); id < 80; id += 2 {
		p.send(captureClient, h2test.Get(id))
		p.send(captureServer, h2test.Response(id, 200, "content-type: text/plain"))
	}
	for range 2 << 20 / len(text) {
		for id := uint32(1); id < 80; id += 2 {
			p.send(captureServer, h2test.Data(id, text))
		}
	}
	for id := uint32(1); id < 80; id += 2 {
		p.send(captureServer, h2test.DataEnd(id, ""))
	}
	p.end()
}

// playKept has 10 requests with 40 MiB of text each, in some KiB, that are answered at the end.
func playKept(c *captureFile) {
	p := c.conn(0)
	content := gzipped(bytes.Repeat([]byte("a line\n"), 6<<20))
	for id := uint32(1); id < 20; id += 2 {
		p.send(captureClient, h2test.Request(id, "POST", "/", "content-encoding: gzip", "content-type: text/plain"))
		for piece := range slices.Chunk(content, 1<<14) {
			p.send(captureClient, h2test.Data(id, string(piece)))
		}
		p.send(captureClient, h2test.DataEnd(id, ""))
	}
	for id := uint32(1); id < 20; id += 2 {
		p.send(captureServer, h2test.Response(id, 200).End())
	}
	p.end()
}
