package capture

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// readLines reads a capture and returns its events as lines, without times.
func readLines(t *testing.T, file []byte, o Options) ([]string, Summary) {
	t.Helper()
	var lines []string
	s, err := Read(bytes.NewReader(file), o, func(e Event) {
		if l := eventLine(e); l != "" {
			lines = append(lines, l)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return withoutTimes(lines), s
}

// withoutTimes takes the times off the lines of frames.
func withoutTimes(lines []string) []string {
	out := slices.Clone(lines)
	for i, l := range out {
		if parts := strings.SplitN(l, " ", 3); len(parts) == 3 && strings.Contains(parts[1], "-") && len(parts[1]) > 20 {
			out[i] = parts[0] + " " + parts[2]
		}
	}
	return out
}

// download is a capture of three requests, one of them with content of 20,000 octets.
func download() *captureFile {
	f := newCaptureFile()
	c := f.conn("192.0.2.1:40000", "192.0.2.2:80")
	c.send(Client, frame.Preface, h2test.Settings(), h2test.Get(1, "user-agent: x"))
	c.send(Server, h2test.Settings(), h2test.Ack, h2test.Response(1, 200, "server: y"))
	for range 4 {
		c.send(Server, h2test.DataOf(1, 5000))
		c.send(Client, h2test.WindowUpdate(0, 5000), h2test.WindowUpdate(1, 5000))
	}
	c.send(Server, h2test.DataEnd(1, "end"))
	c.send(Client, h2test.Ack, h2test.Get(3, "user-agent: x"))
	c.send(Server, h2test.Response(3, 404, "server: y").End())
	c.send(Client, h2test.Get(5, "user-agent: z"))
	c.send(Server, h2test.Response(5, 304, "server: y").End())
	c.end()
	return f
}

var downloadLines = []string{
	"connection 1 h2 by preface",
	"client SETTINGS stream=0 len=0",
	"client HEADERS stream=1 flags=END_STREAM|END_HEADERS len=16" +
		" :method=GET :scheme=https :authority=example.com :path=/ user-agent=x",
	"server SETTINGS stream=0 len=0",
	"server SETTINGS stream=0 flags=ACK len=0",
	"server HEADERS stream=1 flags=END_HEADERS len=4 :status=200 server=y",
	"server DATA stream=1 len=5000",
	"client WINDOW_UPDATE stream=0 len=4",
	"client WINDOW_UPDATE stream=1 len=4",
	"server DATA stream=1 len=5000",
	"client WINDOW_UPDATE stream=0 len=4",
	"client WINDOW_UPDATE stream=1 len=4",
	"server DATA stream=1 len=5000",
	"client WINDOW_UPDATE stream=0 len=4",
	"client WINDOW_UPDATE stream=1 len=4",
	"server DATA stream=1 len=5000",
	"client WINDOW_UPDATE stream=0 len=4",
	"client WINDOW_UPDATE stream=1 len=4",
	"server DATA stream=1 flags=END_STREAM len=3",
	"client SETTINGS stream=0 flags=ACK len=0",
	"client HEADERS stream=3 flags=END_STREAM|END_HEADERS len=5" +
		" :method=GET :scheme=https :authority=example.com :path=/ user-agent=x",
	"server HEADERS stream=3 flags=END_STREAM|END_HEADERS len=2 :status=404 server=y",
	"client HEADERS stream=5 flags=END_STREAM|END_HEADERS len=7" +
		" :method=GET :scheme=https :authority=example.com :path=/ user-agent=z",
	"server HEADERS stream=5 flags=END_STREAM|END_HEADERS len=2 :status=304 server=y",
	"end 1 closed, 23 frames, octets [201 20101], lost [0 0]",
}

func TestRead(t *testing.T) {
	lines, s := readLines(t, download().bytes(), Options{})
	if d := cmp.Diff(downloadLines, lines); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	want := Summary{
		Packets: Packets{Total: 33, TCP: 33}, HTTP2: 1, Frames: 23, Requests: 3,
	}
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("summary (-want +got):\n%s", d)
	}
}

// Packets that come late, or twice, change nothing.
func TestReadShuffled(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := download()
		var twice [][]byte
		for _, p := range f.packets {
			twice = append(twice, p, p)
		}
		for at := 0; at < len(twice); at += 20 {
			part := twice[at:min(at+20, len(twice))]
			r.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
		}
		f.packets = twice
		lines, _ := readLines(t, f.bytes(), Options{})
		if d := cmp.Diff(downloadLines, lines); d != "" {
			t.Errorf("seed %d: events (-want +got):\n%s", seed, d)
		}
	}
}
