package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// within is how far a Stall may be from what the packets show.
const within = 5 * time.Millisecond

// stallsIn reads a capture, and returns its Stalls.
func stallsIn(t *testing.T, c captured) (list []capture.Stall) {
	t.Helper()
	_, err := capture.Read(bytes.NewReader(c.file), capture.Options{KeyLog: c.keyLog}, func(e capture.Event) {
		if s, ok := e.(*capture.Stall); ok {
			list = append(list, *s)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// briefStalls writes Stalls in lines, without times.
func briefStalls(list []capture.Stall) (lines []string) {
	for _, s := range list {
		lines = append(lines, fmt.Sprintf("%v %d %v: %s", s.Dir, s.Stream, s.Window, s.EndedBy))
	}
	return lines
}

// A withholder is a peer that gives credit late. It remembers when, which is seen in the capture by
// the packets that it has sent.
type withholder struct {
	*rawPeer
	credits [][]byte // what it has sent to end each Stall
}

// read reads DATA, of any stream, until it has had n octets.
func (w *withholder) read(n int) {
	w.t.Helper()
	w.until(fmt.Sprint(n, " octets"), func(f frame.Frame) bool {
		if d, ok := f.(frame.Data); ok {
			n -= d.FlowLen()
		}
		return n <= 0
	})
}

// end reads to the end of a stream.
func (w *withholder) end(id uint32) {
	w.t.Helper()
	w.until("END_STREAM", func(f frame.Frame) bool {
		h := f.FrameHeader()
		message := h.Type == frame.TypeData || h.Type == frame.TypeHeaders
		return message && h.StreamID == id && h.Flags.Has(frame.FlagEndStream)
	})
}

// late gives credit after some time.
func (w *withholder) late(d time.Duration, items ...any) {
	<-time.After(d)
	w.add(items...)
	w.credits = append(w.credits, bytes.Clone(w.out))
	w.mustFlush()
}

const (
	much  = 1 << 30
	delay = 150 * time.Millisecond
)

// withheld are peers that withhold one window or the other.
var withheld = []struct {
	name string
	play func(w *withholder)
	want []string
}{
	{"the stream's window", func(w *withholder) {
		w.greet(h2.InitialWindow(20000)).add(h2.WindowUpdate(0, much)).get(1, "/big").mustFlush()
		w.read(20000)
		w.late(delay, h2.WindowUpdate(1, much))
		w.end(1)
	}, []string{"server 1 stream: WINDOW_UPDATE on stream 1"}},

	{"the connection's window", func(w *withholder) {
		w.greet(h2.InitialWindow(much)).get(1, "/big").mustFlush()
		w.read(65535)
		w.late(delay, h2.WindowUpdate(0, much))
		w.end(1)
	}, []string{"server 1 connection: WINDOW_UPDATE on stream 0"}},

	{"both windows", func(w *withholder) {
		w.greet().get(1, "/big").mustFlush()
		w.read(65535)
		w.late(delay, h2.WindowUpdate(0, much), h2.WindowUpdate(1, much))
		w.end(1)
	}, []string{"server 1 both: WINDOW_UPDATE on stream 1"}},

	{"one octet at a time", func(w *withholder) {
		w.greet(h2.InitialWindow(20000)).add(h2.WindowUpdate(0, much)).get(1, "/big").mustFlush()
		w.read(20000)
		for range 3 {
			w.late(delay/3, h2.WindowUpdate(1, 1))
			w.read(1)
		}
		w.late(delay/3, h2.WindowUpdate(1, much))
		w.end(1)
	}, []string{
		"server 1 stream: WINDOW_UPDATE on stream 1", "server 1 stream: WINDOW_UPDATE on stream 1",
		"server 1 stream: WINDOW_UPDATE on stream 1", "server 1 stream: WINDOW_UPDATE on stream 1",
	}},

	{"the window by a setting", func(w *withholder) {
		w.greet(h2.InitialWindow(20000)).add(h2.WindowUpdate(0, much)).get(1, "/big").mustFlush()
		w.read(20000)
		w.late(delay, h2.Settings(h2.InitialWindow(much)))
		w.end(1)
	}, []string{"server 1 stream: SETTINGS_INITIAL_WINDOW_SIZE"}},

	{"the window until the stream is reset", func(w *withholder) {
		w.greet(h2.InitialWindow(20000)).add(h2.WindowUpdate(0, much)).get(1, "/big").mustFlush()
		w.read(20000)
		w.late(delay, h2.RST(1, frame.Cancel))
		w.sync()
	}, []string{"server 1 stream: RST_STREAM"}},
}

// Of a server whose client withholds a window, the Stalls are those that the packets show: from the
// last octets of the server to the octets of the client that end it.
func TestCaptureStalls(t *testing.T) {
	big := bigBody()
	site := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(big) })
	ours := func(t *testing.T, _ bool) string { return startServer(t, false, site).Addr }
	for server, start := range map[string]func(*testing.T, bool) string{
		"our server": ours, "nghttpd": startNghttpd, "node": startNode, "h2o": startH2O,
	} {
		for _, tt := range withheld {
			t.Run(server+"/"+tt.name, func(t *testing.T) {
				addr := start(t, false)
				r := record(t, addr)
				nc, err := net.DialTimeout("tcp", addr, rawTimeout)
				if err != nil {
					t.Fatal(err)
				}
				w := &withholder{rawPeer: newRawPeer(t, nc)}
				tt.play(w)
				nc.Close()
				c := captured{file: r.stop()}
				list := stallsIn(t, c)
				if d := cmp.Diff(tt.want, briefStalls(list)); d != "" {
					t.Fatalf("stalls (-want +got):\n%s", d)
				}
				sameTimes(t, list, packetsOf(t, c.file), w.credits, nc)
			})
		}
	}
}

// sameTimes compares Stalls with the packets: each begins with the last octets of the server before
// the credit, of which a busy machine may send some again.
func sameTimes(t *testing.T, list []capture.Stall, packets []capturedPacket, credits [][]byte, nc net.Conn) {
	t.Helper()
	port := nc.LocalAddr().(*net.TCPAddr).Port
	var begun time.Time
	var sent uint32 // sequence number behind what the server has sent
	n := 0
	for i, p := range packets {
		segment := tcpOf(p.data)
		end := segment.Seq + uint32(len(segment.Payload))
		switch {
		case len(segment.Payload) == 0 || n == len(credits):
		case int(segment.SrcPort) != port:
			if begun.IsZero() || int32(end-sent) > 0 {
				begun, sent = p.Timestamp, end
			}
		case bytes.HasSuffix(segment.Payload, credits[n]):
			s, ended := list[n], p.Timestamp
			if strings.HasPrefix(s.EndedBy, "SETTINGS") {
				ended = acknowledged(packets[i:], port)
			}
			if d := s.Start.Sub(begun); d.Abs() > within {
				t.Errorf("stall %d begins %v after the last octets of the server", n, d)
			}
			if got, want := s.End.Sub(s.Start), ended.Sub(begun); (got - want).Abs() > within {
				t.Errorf("stall %d is %v long; the packets show %v", n, got, want)
			}
			n++
		}
	}
	if n != len(credits) {
		t.Errorf("%d of %d credits are found in the packets", n, len(credits))
	}
}

// acknowledged is when the server sends again, first of all the acknowledgement of a setting.
func acknowledged(packets []capturedPacket, port int) time.Time {
	for _, p := range packets {
		if segment := tcpOf(p.data); len(segment.Payload) > 0 && int(segment.SrcPort) != port {
			return p.Timestamp
		}
	}
	return time.Time{}
}

// silent reports whether the side that gives credit has sent nothing for half of a Stall, or of a
// period of it, as where it is not scheduled. One that only seems to have given none has sent
// often.
func silent(s capture.Stall, packets []capturedPacket) bool {
	var server layers.TCPPort
	last, longest := s.Start, time.Duration(0)
	for _, p := range packets {
		segment := tcpOf(p.data)
		if segment.SYN && !segment.ACK {
			server = segment.DstPort
		}
		bySender := (segment.SrcPort == server) == (s.Dir == capture.Server)
		if len(segment.Payload) == 0 || bySender || !p.Timestamp.After(s.Start) || p.Timestamp.After(s.End) {
			continue
		}
		longest, last = max(longest, p.Timestamp.Sub(last)), p.Timestamp
	}
	return max(longest, s.End.Sub(last)) >= s.Blocked/time.Duration(2*s.Periods)
}

// In a quick download or upload nothing waits for windows, though most peers use up windows of
// 64 KiB over and over. A machine that is busy may keep a peer from reading for long, which is a
// Stall indeed: it does not count where the packets show that, and three attempts may have others.
func TestCaptureQuick(t *testing.T) {
	big := bigBody()
	site := func() http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = w.Write(big)
		})
	}
	upload := func(t *testing.T, ls *liveServer) {
		tr := newTransport(t, func(tr *client.Transport) {})
		resp, err := (&http.Client{Transport: tr}).Post(ls.URL+"/", "text/plain", bytes.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	for _, tt := range []struct {
		name string
		make func(t *testing.T) captured
	}{
		{"curl", ofOurServer(true, site, withCurl("/a /b /c", "--http2"))},
		{"nghttp", ofOurServer(true, site, withNghttp("/a /b /c"))},
		{"our client", ofOurServer(true, site, upload)},
		{"nghttpd", ofForeignServer(true, startNghttpd, "/big", "/big")},
		{"node", ofForeignServer(true, startNode, "/big", "/big")},
		{"nginx", ofForeignServer(true, startNginx, "/big", "/big")},
		{"h2o", ofForeignServer(true, startH2O, "/big", "/big")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for attempt := range 3 {
				c := tt.make(t)
				packets := packetsOf(t, c.file)
				list := slices.DeleteFunc(stallsIn(t, c), func(s capture.Stall) bool { return silent(s, packets) })
				if len(list) == 0 {
					return
				}
				t.Logf("attempt %d: %s", attempt, strings.Join(briefStalls(list), "; "))
			}
			t.Error("each time a peer waits for a window")
		})
	}
}
