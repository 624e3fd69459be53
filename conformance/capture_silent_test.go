package conformance

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/server"
	"github.com/sluice-go/sluice/tunnel"
)

// nghttpFrame matches the line of nghttp -v about a frame.
var nghttpFrame = regexp.MustCompile(
	`(?m)^\[ *[0-9.]+\] (send|recv) ([A-Z_]+) frame <length=(\d+), flags=0x([0-9a-f]{2}), stream_id=(\d+)>`,
)

// tshark 4.0 loses the frames behind an Upgrade on a port that it is not told of, and shows them as
// those of HTTP/1.1 on one that it is. The judge is what nghttp says that it has sent and received.
func TestCaptureUpgrade(t *testing.T) {
	var log string
	c := ofOurServer(false, testHandler, func(t *testing.T, ls *liveServer) {
		nghttp := requirePeer(t, "nghttp")
		log = mustRunPeer(t, nghttp, "-v", "-n", "-u", ls.URL+"/hello", ls.URL+"/hints", ls.URL+"/push?asset=/some").stdout
	})(t)
	want := map[string][]judgedFrame{}
	for _, m := range nghttpFrame.FindAllStringSubmatch(log, -1) {
		num := func(s string, base int) int64 {
			n, err := strconv.ParseInt(s, base, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		want[m[1]] = append(want[m[1]], judgedFrame{
			Type: typeNumbers[m[2]], Length: num(m[3], 10), Flags: int(num(m[4], 16)), Stream: num(m[5], 10),
		})
	}
	if len(want["send"]) < 5 || len(want["recv"]) < 10 {
		t.Fatalf("nghttp says:\n%s", clip(log))
	}
	lines, err := linesOf(t, c.file, nil)
	if err != nil {
		t.Fatal(err)
	}
	conns := connectionsOf(t, lines)
	if len(conns) != 1 {
		t.Errorf("%d connections", len(conns))
	}
	for _, conn := range conns {
		if conn.found != "upgrade" {
			t.Errorf("HTTP/2 was found by %q", conn.found)
		}
		for dir, frames := range map[string][]judgedFrame{"send": conn.frames["client"], "recv": conn.frames["server"]} {
			for i := range frames {
				frames[i].Detail, frames[i].Fields, frames[i].Pad = "", nil, 0
			}
			// What passed when nghttp had ended is not in its log.
			n := min(len(frames), len(want[dir]))
			if n < len(want[dir]) || !reflect.DeepEqual(frames[:n], want[dir]) {
				t.Errorf("frames of %s:\nnghttp %v\nsluice %v", dir, want[dir], frames)
			}
		}
	}
}

// An ourConnection is what our JSON says of a connection.
type ourConnection struct {
	id, parent, twin int
	found            string
	frames           map[string][]judgedFrame // by the side that sent them
}

// connectionsOf returns the connections with HTTP/2 by their number.
func connectionsOf(t *testing.T, lines []byte) map[int]*ourConnection {
	t.Helper()
	all := map[int]*ourConnection{}
	for line := range bytes.Lines(lines) {
		var e ourEvent
		var head struct {
			Found, Protocol string
			Parent, Twin    int
		}
		if json.Unmarshal(line, &e) != nil || e.Kind != "connection" && e.Kind != "frame" {
			continue
		}
		if e.Kind == "frame" {
			all[e.Conn].frames[e.Dir] = append(all[e.Conn].frames[e.Dir], e.judged(t))
			continue
		}
		if err := json.Unmarshal(line, &head); err != nil {
			t.Fatal(err)
		}
		if head.Protocol == "h2" {
			all[e.Conn] = &ourConnection{e.Conn, head.Parent, head.Twin, head.Found, map[string][]judgedFrame{}}
		}
	}
	return all
}

// tshark 4.0 sees nothing but DATA in a tunnel over HTTP/2, and no HTTP/2 in one over HTTP/1.1 that
// leads to another port than 443. The judge is what it sees between proxy and origin, which is the
// same connection.
func TestCaptureConnect(t *testing.T) {
	for _, tt := range []struct {
		name   string
		secure bool // the proxy speaks HTTP/2 over TLS
	}{{"over HTTP/1.1", false}, {"over HTTP/2", true}} {
		t.Run(tt.name, func(t *testing.T) {
			var k keyLog
			f := startProxy(t, &tunnel.Proxy{})
			proxy, addr := &url.URL{Scheme: "http", Host: f.http}, f.http
			if tt.secure {
				proxy, addr = &url.URL{Scheme: "https", Host: f.https}, f.https
			}
			origin, err := url.Parse(f.secure)
			if err != nil {
				t.Fatal(err)
			}
			r := record(t, addr, origin.Host)
			tr := newTransport(t, func(tr *client.Transport) {
				tr.TLSClientConfig.KeyLogWriter = &k
				tr.Proxy = http.ProxyURL(proxy)
			})
			for range 3 {
				fetchAnyway(t, tr, f.secure+"/")
			}
			tr.CloseIdleConnections()
			c := captured{file: r.stop(), keyLog: k.bytes()}
			judgeTunnel(t, c, origin.Port(), tt.secure)
		})
	}
}

// judgeTunnel compares both legs of a tunnel to an origin's port with each other, and with tshark.
func judgeTunnel(t *testing.T, c captured, port string, over2 bool) {
	t.Helper()
	lines, err := linesOf(t, c.file, c.keyLog)
	if err != nil {
		t.Fatal(err)
	}
	conns := connectionsOf(t, lines)
	var inner, leg *ourConnection
	for _, conn := range conns {
		if conn.parent != 0 {
			inner = conn
		}
	}
	if inner == nil {
		t.Fatalf("no connection within CONNECT:\n%s", clip(string(lines)))
	}
	if outer := conns[inner.parent]; over2 != (outer != nil) {
		t.Errorf("the tunnel is in connection %d, over HTTP/2: %t", inner.parent, outer != nil)
	}
	for _, conn := range conns {
		if conn.id == inner.twin || conn.twin == inner.id {
			leg = conn
		}
	}
	if leg == nil {
		t.Fatalf("the other leg of the tunnel was not found")
	}
	if !reflect.DeepEqual(inner.frames, leg.frames) {
		t.Errorf("the legs differ:\n%v\n%v", inner.frames, leg.frames)
	}
	seen := tsharkFrames(t, writeCapture(t, "capture.pcapng", c.file), writeCapture(t, "keys", c.keyLog))
	for _, frames := range seen {
		dir := "client"
		switch port {
		case frames[0].From:
			dir = "server"
		case frames[0].To:
		default:
			continue // the leg to the proxy
		}
		for i := range frames {
			frames[i].From, frames[i].To = "", ""
		}
		sameFrames(t, "tshark", judgedStream{dir: frames}, judgedStream{dir: leg.frames[dir]})
	}
}

// Without the beginning of a connection in cleartext, tshark sees no HTTP/2 unless it is told. The
// judge is what our server says that it has sent and received.
func TestCaptureStartMissing(t *testing.T) {
	var mu sync.Mutex
	var traced []byte
	live := &capture.Live{Options: capture.Options{ShowSecrets: true}, Handler: func(e capture.Event) {
		mu.Lock()
		defer mu.Unlock()
		traced = append(capture.AppendJSON(traced, e), '\n')
	}}
	ls := startServer(t, false, testHandler(), func(s *server.Server) { s.Tracer = live })
	r := record(t, ls.Addr)
	tapFrames(t, dialRaw(t, ls))
	packets := packetsOf(t, r.stop())
	live.Close()
	mu.Lock()
	defer mu.Unlock()
	var whole *ourConnection
	for _, conn := range connectionsOf(t, traced) {
		whole = conn
	}
	for from := 6; from < len(packets)-20; from += 5 {
		file := pcapOf(t, packets[from:])
		if from == 6 {
			if seen := tsharkFrames(t, writeCapture(t, "capture.pcap", file), ""); len(seen) > 0 {
				t.Errorf("tshark has learnt to find frames in %d directions", len(seen))
			}
		}
		lines, err := linesOf(t, file, nil)
		if err != nil {
			t.Fatal(err)
		}
		conns := connectionsOf(t, lines)
		if len(conns) != 1 {
			t.Errorf("without %d of %d packets, there are %d connections", from, len(packets), len(conns))
		}
		for _, conn := range conns {
			if conn.found != "frames" {
				t.Errorf("without %d packets, HTTP/2 was found by %q", from, conn.found)
			}
			nothingInvented(t, whole.frames, conn.frames)
			if n := len(conn.frames["server"]) + len(conn.frames["client"]); n < 10 {
				t.Errorf("without %d of %d packets, %d frames were found", from, len(packets), n)
			}
		}
	}
}
