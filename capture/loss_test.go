package capture

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// byDir returns the lines of the frames of a direction.
func byDir(lines []string, d Dir) (out []string) {
	for _, l := range lines {
		if strings.HasPrefix(l, d.String()+" ") {
			out = append(out, l)
		}
	}
	return out
}

// notSent returns the lines that are not, in this order, among those that were sent. A frame with
// octets missing, or with fields that may be wrong, is compared by its header.
func notSent(sent, lines []string) (bad []string) {
	for _, l := range lines {
		head := l
		if strings.Contains(l, " missing ") || strings.Contains(l, "(tainted ") {
			i := strings.Index(l, " len=") + len(" len=")
			head = l[:i+strings.IndexByte(l[i:]+" ", ' ')]
		}
		n := slices.IndexFunc(sent, func(s string) bool { return s == head || head != l && strings.HasPrefix(s, head) })
		if n < 0 {
			bad = append(bad, l)
			continue
		}
		sent = sent[n+1:]
	}
	return bad
}

// Whatever segment is not in the capture, there is one gap, with its octets; all frames that are
// shown were sent; and those of the other direction are all there.
func TestReadWithoutASegment(t *testing.T) {
	whole := download().packets
	for i, p := range whole {
		f := download()
		f.packets = slices.Delete(f.packets, i, i+1)
		lines, s := readLines(t, f.bytes(), Options{})
		payload := len(p) - 16 - 40
		var gaps []string
		for _, l := range lines {
			if strings.HasPrefix(l, "gap") {
				gaps = append(gaps, l)
			}
		}
		if payload == 0 {
			if d := cmp.Diff(byDir(downloadLines, Server), byDir(lines, Server)); d != "" || len(gaps) > 0 {
				t.Errorf("without packet %d, which is empty: %v\n%s", i+1, gaps, d)
			}
			continue
		}
		if len(gaps) != 1 || !strings.Contains(gaps[0], fmt.Sprintf(" %d+", payload)) || s.Lost != int64(payload) {
			t.Errorf("without packet %d of %d octets: %d are lost, %q", i+1, payload, s.Lost, gaps)
		}
		for _, d := range []Dir{Client, Server} {
			sent, got := byDir(downloadLines, d), byDir(lines, d)
			if bad := notSent(sent, got); len(bad) > 0 {
				t.Errorf("without packet %d: were not sent: %q\n%s", i+1, bad, strings.Join(lines, "\n"))
			}
			if len(gaps) == 1 && !strings.HasPrefix(gaps[0], "gap "+d.String()) && len(sent) != len(got) {
				t.Errorf("without packet %d: %d frames of the %v, sent were %d", i+1, len(got), d, len(sent))
			}
		}
		if s.HTTP2 != 1 || s.Frames < 20 {
			t.Errorf("without packet %d: %d frames\n%s", i+1, s.Frames, strings.Join(lines, "\n"))
		}
	}
}

// With packets that are cut off, the frames are all there: what is missing are octets of DATA, and
// fields at the end of long header blocks.
func TestReadSnapped(t *testing.T) {
	f := newCaptureFile()
	f.snap = 200
	c := f.conn("192.0.2.1:40000", "192.0.2.2:80")
	long := strings.Repeat("0123456789", 20)
	c.send(Client, frame.Preface, h2test.Settings(), h2test.Get(1))
	c.send(Server, h2test.Settings(), h2test.Response(1, 200, "a: b", "x-long: "+long, "c: d"))
	c.send(Server, h2test.DataOf(1, 10000))
	c.send(Server, h2test.DataEnd(1, "end"), h2test.Response(3, 200, "a: b", "x-long: "+long, "e: f").End())
	c.end()
	lines, s := readLines(t, f.bytes(), Options{ShowSecrets: true})
	want := []string{
		"connection 1 h2 by preface",
		"client SETTINGS stream=0 len=0",
		"client HEADERS stream=1 flags=END_STREAM|END_HEADERS len=13" +
			" :method=GET :scheme=https :authority=example.com :path=/",
		"server SETTINGS stream=0 len=0",
		"gap server 21+0 cut: 21 octets of the server were cut off when the packets were captured," +
			" within HEADERS on stream 1",
		"server HEADERS stream=1 flags=END_HEADERS len=163 :status=200 a=b missing 21 unparsed",
		"gap server 8889+0 cut: 8889 octets of the server were cut off when the packets were captured," +
			" within DATA on stream 1",
		"server DATA stream=1 len=10000 missing 8889 unparsed",
		"server DATA stream=1 flags=END_STREAM len=3",
		"server HEADERS stream=3 flags=END_STREAM|END_HEADERS len=8 :status=200 =(tainted 64) =(tainted 63) e=f",
		"end 1 closed, 7 frames, octets [55 1309], lost [0 8910]",
	}
	if d := cmp.Diff(want, lines); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	problems := []string{"8 packets cut off by the capture: take it with a larger snap length (tcpdump -s 0)"}
	if !slices.Equal(s.Problems, problems) {
		t.Errorf("problems %q", s.Problems)
	}
}

// A file that ends within a packet is read up to there, and a frame that is cut off is shown.
func TestReadCutOff(t *testing.T) {
	whole := download().bytes()
	all := downloadLines[:len(downloadLines)-1]
	for at := 24; at < len(whole); at += 97 {
		var lines []string
		_, err := Read(bytes.NewReader(whole[:at]), Options{}, func(e Event) {
			if f, ok := e.(*Frame); ok {
				lines = append(lines, eventLine(f))
			}
		})
		var cut *TruncatedError
		if err != nil && !errors.As(err, &cut) {
			t.Fatalf("%d octets: %v", at, err)
		}
		for i, l := range withoutTimes(lines) {
			if l != all[1+i] && (i < len(lines)-1 || !strings.Contains(l, "DATA stream=1 len=5000 missing ")) {
				t.Errorf("%d octets: %s, want %s", at, l, all[1+i])
			}
		}
	}
}

// A capture that begins in the midst of a connection has frames from where the first can be found,
// and fields whose index points to what was before are unknown.
func TestReadFromTheMiddle(t *testing.T) {
	f := download()
	f.packets = f.packets[7:]
	lines, _ := readLines(t, f.bytes(), Options{ShowSecrets: true})
	client := byDir(downloadLines, Client)[2:] // from the first WINDOW_UPDATE on
	client[9] = "client HEADERS stream=3 flags=END_STREAM|END_HEADERS len=5" +
		" :method=GET :scheme=https =(unknown 63) :path=/ =(unknown 62)"
	client[10] = "client HEADERS stream=5 flags=END_STREAM|END_HEADERS len=7" +
		" :method=GET :scheme=https =(unknown 63) :path=/ user-agent=z"
	if d := cmp.Diff(client, byDir(lines, Client)); d != "" {
		t.Errorf("frames of the client (-want +got):\n%s", d)
	}
	server := byDir(downloadLines, Server)[4:] // the first DATA is not whole
	server[4] = "server HEADERS stream=3 flags=END_STREAM|END_HEADERS len=2 :status=404 =(unknown 62)"
	server[5] = "server HEADERS stream=5 flags=END_STREAM|END_HEADERS len=2 :status=304 =(unknown 62)"
	if d := cmp.Diff(server, byDir(lines, Server)); d != "" {
		t.Errorf("frames of the server (-want +got):\n%s", d)
	}
	rest := slices.DeleteFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "client") || strings.HasPrefix(l, "server")
	})
	want := []string{
		"connection 1 h2 by frames start missing",
		"gap server -1+2113 start: the capture begins in the midst of what the server sends;" +
			" 2113 octets behind that are skipped, up to where a frame begins",
		"end 1 closed, 17 frames, octets [143 17174], lost [0 0]",
	}
	if d := cmp.Diff(want, rest); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
}
