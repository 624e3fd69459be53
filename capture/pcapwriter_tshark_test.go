package capture

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/internal/tsharktest"
	"github.com/sluice-go/sluice/server"
)

// tshark returns what tshark prints about a capture; -T fields and the like are in args.
func tshark(t *testing.T, capture []byte, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark must be there in CI:", err)
		}
		t.Skip("tshark is the judge and is not installed")
	}
	name := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(name, capture, 0o600); err != nil {
		t.Fatal(err)
	}
	args = slices.Concat(tsharktest.Args(t), []string{"-r", name}, args)
	cmd := exec.CommandContext(t.Context(), "tshark", args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark %q: %v\n%s", args, err, &errOut)
	}
	return out.String()
}

// tsharkFrames are the frames that tshark finds, by the ports of sender and receiver: types and
// streams.
func tsharkFrames(t *testing.T, capture []byte, args ...string) map[string][]string {
	t.Helper()
	frames := map[string][]string{}
	out := tshark(t, capture, append(args, "-Y", "http2", "-T", "fields",
		"-e", "tcp.srcport", "-e", "tcp.dstport", "-e", "http2.type", "-e", "http2.streamid")...)
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		key := f[0] + ">" + f[1]
		types, streams := strings.Split(f[2], ","), strings.Split(f[3], ",")
		if f[2] == "" { // the preface alone
			continue
		}
		streams = streams[len(streams)-len(types):] // the preface has a stream, and no type
		for i := range types {
			frames[key] = append(frames[key], types[i]+" on "+streams[i])
		}
	}
	return frames
}

// liveFrames are the same by a Live.
func liveFrames(r *recorded) map[string][]string {
	frames := map[string][]string{}
	for _, c := range r.conns {
		ports := [2]uint16{c.Client.Port(), c.Server.Port()}
		for _, f := range r.frames[c.ID] {
			key := fmt.Sprintf("%d>%d", ports[f.Dir], ports[f.Dir.Other()])
			frames[key] = append(frames[key], fmt.Sprintf("%d on %d", f.Header.Type, f.Header.StreamID))
		}
	}
	return frames
}

// pcapCase is how connections are made that a PcapWriter records.
type pcapCase struct {
	name     string
	version  uint16 // of TLS; 0 is h2c
	atClient bool   // recorded there
	resume   bool   // the second connection resumes the session of the first
	conns    int
	suite    uint16
	retry    bool    // HelloRetryRequest is sent
	also     Handler // gets the events of the Live, too
}

// run has conns connections recorded, one after the other, or at once where there are many. It
// returns the capture and what a Live has seen of the same connections.
func (c pcapCase) run(t *testing.T) ([]byte, *recorded) {
	t.Helper()
	var file bytes.Buffer
	w, err := NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	r := record()
	l := &Live{Options: Options{Bodies: true}, Handler: func(e Event) {
		if c.also != nil {
			c.also(e)
		}
		r.handle(e)
	}}
	s := c.server(t, w, l)
	var wg sync.WaitGroup
	get := func() {
		tr := s.tr.Clone()
		if c.atClient {
			tr.Tracer, tr.DialContext = l, w.WrapDial(nil)
			tr.TLSClientConfig.KeyLogWriter = w.KeyLogWriter()
		}
		one := &testServer{url: s.url, tr: tr}
		for i := range 2 {
			if path := fmt.Sprintf("/%d", i); one.get(t, path) != "body hello "+path {
				t.Error("a wrong answer")
			}
		}
		tr.CloseIdleConnections()
		r.wait(t, 1)
	}
	for range c.conns {
		if c.conns > 2 {
			wg.Go(get)
		} else {
			get()
		}
	}
	wg.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return file.Bytes(), r
}

func (c pcapCase) server(t *testing.T, w *PcapWriter, l *Live) *testServer {
	listen := func(nl net.Listener) net.Listener {
		if c.atClient {
			return nl
		}
		return w.WrapListener(nl)
	}
	s := newTestServer(t, func(srv *server.Server) {
		if c.version == 0 {
			srv.TLSConfig = nil
		} else if !c.atClient {
			srv.TLSConfig.KeyLogWriter = w.KeyLogWriter()
		}
		if !c.atClient {
			srv.Tracer = l
		}
		if c.retry {
			srv.TLSConfig.CurvePreferences = []tls.CurveID{tls.CurveP256}
		}
	}, listen)
	if c.version == 0 {
		var p http.Protocols
		p.SetUnencryptedHTTP2(true)
		s.tr.Protocols = &p
		return s
	}
	s.tr.TLSClientConfig.MinVersion, s.tr.TLSClientConfig.MaxVersion = c.version, c.version
	if c.suite != 0 {
		s.tr.TLSClientConfig.CipherSuites = []uint16{c.suite}
	}
	if c.retry { // the client sends a share of its first curve, and the server has the second
		s.tr.TLSClientConfig.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	if c.resume {
		s.tr.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	}
	return s
}

var pcapCases = []pcapCase{
	{name: "TLS 1.3 at the server", version: tls.VersionTLS13, conns: 1},
	{name: "TLS 1.3 at the client", version: tls.VersionTLS13, atClient: true, conns: 1},
	{name: "TLS 1.2 at the server", version: tls.VersionTLS12, conns: 1},
	{name: "TLS 1.2 at the client", version: tls.VersionTLS12, atClient: true, conns: 1},
	{
		name: "ChaCha20 at the server", version: tls.VersionTLS12, conns: 1,
		suite: tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	},
	{name: "HelloRetryRequest at the server", version: tls.VersionTLS13, retry: true, conns: 1},
	{name: "HelloRetryRequest at the client", version: tls.VersionTLS13, retry: true, atClient: true, conns: 1},
	{name: "TLS 1.3 resumed, at the server", version: tls.VersionTLS13, resume: true, conns: 2},
	{name: "TLS 1.3 resumed, at the client", version: tls.VersionTLS13, resume: true, atClient: true, conns: 2},
	{name: "TLS 1.2 resumed, at the server", version: tls.VersionTLS12, resume: true, conns: 2},
	{name: "TLS 1.2 resumed, at the client", version: tls.VersionTLS12, resume: true, atClient: true, conns: 2},
	{name: "h2c at the server", conns: 1},
	{name: "h2c at the client", atClient: true, conns: 1},
	{name: "20 at once, at the server", version: tls.VersionTLS13, conns: 20},
	{name: "20 at once, at the client", version: tls.VersionTLS13, atClient: true, conns: 20},
}

// tshark finds in the file every frame that a Tracer of the connection has seen, and nothing wrong
// with its TCP.
func TestPcapWriterTshark(t *testing.T) {
	for _, c := range pcapCases {
		t.Run(c.name, func(t *testing.T) {
			capture, r := c.run(t)
			want := liveFrames(r)
			var args []string
			if c.version == 0 { // which tshark finds on the ports of HTTP only
				args = []string{"-d", fmt.Sprintf("tcp.port==%d,http2", r.conns[0].Server.Port())}
			} else { // the port of a client may be that of another protocol, as 48898
				args = []string{"-o", "tcp.try_heuristic_first:TRUE"}
			}
			got := tsharkFrames(t, capture, args...)
			for key, frames := range got {
				// What a connection receives when it has ended, the Tracer does not see.
				if n := len(want[key]); received(r, c.atClient, key) && len(frames) > n && frames[n] == "6 on 0" {
					got[key] = frames[:n]
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the Tracer's frames and tshark's (+):\n%s", diff)
			}
			if len(want) != 2*c.conns {
				t.Errorf("%d directions were seen", len(want))
			}
			resumed := 0
			for _, conn := range r.conns {
				if conn.TLS != nil && conn.TLS.Resumed {
					resumed++
				}
				if conn.TLS != nil && conn.TLS.HelloRetry != c.retry {
					t.Errorf("HelloRetryRequest: %v", conn.TLS.HelloRetry)
				}
			}
			if c.resume != (resumed == 1) {
				t.Errorf("%d sessions were resumed", resumed)
			}
			bad := tshark(t, capture, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
				"tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0 || _ws.malformed")
			if bad != "" {
				t.Errorf("tshark finds fault with:\n%s", bad)
			}
		})
	}
}

// received reports whether frames of a direction, as a key of liveFrames, come from the peer.
func received(r *recorded, atClient bool, key string) bool {
	return strings.HasPrefix(key, fmt.Sprintf("%d>", r.conns[0].Server.Port())) == atClient
}

// ngBlocks are the types of the blocks of a file, and where each ends.
func ngBlocks(t *testing.T, capture []byte) (types []uint32, ends []int) {
	t.Helper()
	for at := 0; at < len(capture); {
		if len(capture)-at < 12 {
			t.Fatalf("%d octets are left behind the last block", len(capture)-at)
		}
		size := int(binary.LittleEndian.Uint32(capture[at+4:]))
		types = append(types, binary.LittleEndian.Uint32(capture[at:]))
		at += size
		ends = append(ends, at)
	}
	return types, ends
}

// Types of blocks (pcapng §4).
const (
	ngPacket  = 6
	ngSecrets = 10
)

// However much of the file there is, tshark decrypts all packets that are there: what it prints of
// them with the whole file, in which the test above finds nothing missing, and with the part.
func TestPcapWriterPrefixes(t *testing.T) {
	for _, c := range []pcapCase{
		{name: "TLS 1.3 at the client", version: tls.VersionTLS13, atClient: true, conns: 1},
		{name: "TLS 1.2 resumed, at the server", version: tls.VersionTLS12, resume: true, conns: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			capture, _ := c.run(t)
			fields := []string{
				"-o", "tcp.try_heuristic_first:TRUE", "-T", "fields",
				"-e", "frame.number", "-e", "_ws.col.Protocol", "-e", "http2.type",
				"-e", "tls.handshake.type", "-e", "http2.header.value", "-e", "http2.data.data",
			}
			want := slices.Collect(strings.Lines(tshark(t, capture, fields...)))
			types, ends := ngBlocks(t, capture)
			packets, step := 0, 1
			if testing.Short() {
				step = 5
			}
			for i, end := range ends {
				if types[i] == ngPacket {
					packets++
				}
				if i%step > 0 {
					continue
				}
				got := slices.Collect(strings.Lines(tshark(t, capture[:end], fields...)))
				if !slices.Equal(want[:packets], got) {
					t.Fatalf("of the first %d blocks, with %d packets:\n%s", i+1, packets, cmp.Diff(want[:packets], got))
				}
			}
			if packets != len(want) || packets < 15 {
				t.Errorf("%d packets, of which tshark shows %d", packets, len(want))
			}
		})
	}
}
