package conformance

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// A wiretap is a connection of a client that keeps what passes as a packet capture: no rights are
// needed to take it, and nothing gets lost.
type wiretap struct {
	net.Conn
	mu   sync.Mutex
	file []byte // pcap
	seq  [2]uint32
}

const (
	toServer, toClient = 0, 1
	tapServerPort      = 8080
	tapClientPort      = 40000

	flagFIN, flagSYN, flagPSH, flagACK = 1, 2, 8, 16
)

// newWiretap begins a capture with the handshake of TCP.
func newWiretap(nc net.Conn) *wiretap {
	w := &wiretap{Conn: nc}
	le := binary.LittleEndian
	w.file = le.AppendUint32(nil, 0xa1b2c3d4)   // pcap, times in microseconds
	w.file = le.AppendUint32(w.file, 2|4<<16)   // version 2.4
	w.file = append(w.file, make([]byte, 8)...) // time zone, accuracy
	w.file = le.AppendUint32(w.file, 1<<18)     // longest packet
	w.file = le.AppendUint32(w.file, 101)       // packets begin with their IP header
	w.packet(toServer, flagSYN, nil)
	w.packet(toClient, flagSYN|flagACK, nil)
	w.packet(toServer, flagACK, nil)
	return w
}

// packet appends one packet in the direction dir.
func (w *wiretap) packet(dir int, flags byte, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	const headers = 40 // IPv4 and TCP, without options
	be, le := binary.BigEndian, binary.LittleEndian
	now := time.Now()
	w.file = le.AppendUint32(w.file, uint32(now.Unix()))
	w.file = le.AppendUint32(w.file, uint32(now.Nanosecond()/1000))
	w.file = le.AppendUint32(w.file, uint32(headers+len(payload)))
	w.file = le.AppendUint32(w.file, uint32(headers+len(payload)))

	ends := [2][4]byte{{192, 0, 2, 1}, {192, 0, 2, 2}} // client, server
	ports := [2]uint16{tapClientPort, tapServerPort}
	w.file = append(w.file, 0x45, 0) // IPv4, five words of header
	w.file = be.AppendUint16(w.file, uint16(headers+len(payload)))
	w.file = append(w.file, 0, 0, 0x40, 0, 64, 6, 0, 0) // not to be fragmented, TTL 64, TCP, no checksum
	w.file = append(append(w.file, ends[dir][:]...), ends[1-dir][:]...)

	w.file = be.AppendUint16(be.AppendUint16(w.file, ports[dir]), ports[1-dir])
	w.file = be.AppendUint32(w.file, w.seq[dir])
	w.file = be.AppendUint32(w.file, w.seq[1-dir])
	w.file = append(w.file, 5<<4, flags, 0xff, 0xff, 0, 0, 0, 0) // a full window, no checksum
	w.file = append(w.file, payload...)
	w.seq[dir] += uint32(len(payload))
	if flags&(flagSYN|flagFIN) != 0 {
		w.seq[dir]++
	}
}

// segments appends the octets of one call.
func (w *wiretap) segments(dir int, p []byte) {
	for len(p) > 0 {
		n := min(len(p), 16<<10)
		w.packet(dir, flagPSH|flagACK, p[:n])
		p = p[n:]
	}
}

func (w *wiretap) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.segments(toClient, p[:n])
	return n, err
}

func (w *wiretap) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.segments(toServer, p[:n])
	return n, err
}

// tapFrames has an exchange with every kind of frame that a server sends, and returns how many of
// each type came.
func tapFrames(t *testing.T, p *rawPeer) map[string]int {
	t.Helper()
	seen := map[string]int{}
	await := func(what string, done func(frame.Frame) bool) {
		t.Helper()
		for found := false; !found; {
			f, err := p.next()
			if err != nil {
				t.Fatalf("waiting for %s: %v", what, err)
			}
			seen[strconv.Itoa(int(f.FrameHeader().Type))]++
			found = done(f)
		}
	}
	endOf := func(id uint32) func(frame.Frame) bool {
		return func(f frame.Frame) bool {
			h := f.FrameHeader()
			return h.StreamID == id && h.Flags.Has(frame.FlagEndStream)
		}
	}
	p.greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20}).add(frame.WindowUpdate{Increment: 1 << 20})
	p.get(1, "/hello").mustFlush()
	await("/hello", endOf(1))
	p.get(3, "/hints").mustFlush()
	await("/hints", endOf(3))
	p.headers(5, false, p.request("POST", "/trailers", h2test.Field("trailer", "x-client"))...)
	p.add(frame.Data{StreamID: 5, Data: []byte("small"), Padded: true, PadLength: 7})
	p.headers(5, true, h2test.Field("x-client", "tapped")).mustFlush()
	await("/trailers", endOf(5))
	p.get(7, "/some").mustFlush()
	await("/some", endOf(7))
	p.add(frame.Ping{Data: [8]byte{1, 2, 3}}).mustFlush()
	await("the answer to PING", func(f frame.Frame) bool { return f.FrameHeader().Type == frame.TypePing })
	p.get(9, "/push?asset=/hello").mustFlush()
	ends := 0
	await("/push, and what is pushed", func(f frame.Frame) bool {
		if endOf(9)(f) || endOf(2)(f) {
			ends++
		}
		return ends == 2
	})
	p.headers(11, true, p.request("GET", "/hello", h2test.Field("Upper-Case", "x"))...).mustFlush()
	await("RST_STREAM", func(f frame.Frame) bool { return f.FrameHeader().Type == frame.TypeRSTStream })
	// Enough of a body that the server has to give credit for it.
	body := bigBody()[:60<<10]
	for id := uint32(13); id < 33; id += 2 {
		p.headers(id, false, p.request("PUT", "/upload")...)
		for part := body; len(part) > 0; {
			n := min(len(part), frame.MinMaxFrameSize)
			p.add(frame.Data{StreamID: id, Data: part[:n], EndStream: n == len(part)})
			part = part[n:]
		}
		p.mustFlush()
		await("/upload", endOf(id))
	}
	p.add(frame.Data{Data: []byte("on stream 0")}).mustFlush()
	await("GOAWAY", func(f frame.Frame) bool { return f.FrameHeader().Type == frame.TypeGoAway })
	return seen
}

// Wireshark's dissector takes what we send for the same frames as we do, and finds nothing wrong
// with them.
func TestTshark(t *testing.T) {
	tshark := requirePeer(t, "tshark")
	ls := startServer(t, false, testHandler())
	p := dialRaw(t, ls)
	tap := newWiretap(p.nc)
	p.nc = tap
	want := tapFrames(t, p)
	for _, typ := range []frame.Type{
		frame.TypeData, frame.TypeHeaders, frame.TypeRSTStream, frame.TypeSettings, frame.TypePing, frame.TypeGoAway,
		frame.TypeWindowUpdate, frame.TypePushPromise,
	} {
		if want[strconv.Itoa(int(typ))] == 0 {
			t.Errorf("the exchange had no %v frame", typ)
		}
	}
	file := filepath.Join(t.TempDir(), "tap.pcap")
	if err := os.WriteFile(file, tap.file, 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(args ...string) string {
		t.Helper()
		base := []string{"-r", file, "-d", "tcp.port==" + strconv.Itoa(tapServerPort) + ",http2"}
		return mustRunPeer(t, tshark, append(base, args...)...).stdout
	}
	fromServer := "tcp.srcport == " + strconv.Itoa(tapServerPort)

	got := map[string]int{}
	types := read("-Y", fromServer+" && http2", "-T", "fields", "-e", "http2.type", "-E", "aggregator=,")
	for _, typ := range strings.FieldsFunc(types, func(r rune) bool { return r == ',' || r == '\n' }) {
		got[typ]++
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frames by type (-as we read them +as tshark does):\n%s", diff)
	}
	statuses := read("-Y", fromServer+" && http2.headers.status", "-T", "fields", "-e", "http2.headers.status",
		"-E", "aggregator=,")
	s := strings.Join(strings.Fields(strings.ReplaceAll(statuses, ",", " ")), " ")
	if !strings.HasPrefix(s, "200 103 200 200 200") {
		t.Errorf("tshark decodes the statuses %q, want 200, 103, 200, 200, 200 first", s)
	}
	promised := read("-Y", fromServer+" && http2.push_promise.promised_stream_id", "-T", "fields",
		"-e", "http2.push_promise.promised_stream_id", "-e", "http2.headers.path")
	if s := strings.Join(strings.Fields(promised), " "); s != "2 /hello" {
		t.Errorf("tshark sees the promises %q, want stream 2 for /hello", s)
	}
	// Warnings and errors of the dissectors; what the client did wrong on purpose is in the other
	// direction.
	if bad := read("-Y", fromServer+" && (_ws.malformed || _ws.expert.severity >= 0x600000)", "-V"); bad != "" {
		t.Errorf("tshark objects to:\n%s", clip(bad))
	}
}
