package conformance

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// A captured exchange is a capture, pcapng, with what is needed to read it.
type captured struct {
	file   []byte
	keyLog []byte
	tshark []string // arguments for tshark: what it has to be told
}

// A keyLog collects the secrets of connections.
type keyLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (k *keyLog) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Write(p)
}

func (k *keyLog) bytes() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return bytes.Clone(k.b.Bytes())
}

// secretServer has a server log the secrets of its connections, and adjusts its TLS.
func secretServer(t *testing.T, k *keyLog, adjust func(*tls.Config)) func(*server.Server) {
	t.Helper()
	cert, err := selfsigned.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	return func(s *server.Server) {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, KeyLogWriter: k}
		if adjust != nil {
			adjust(s.TLSConfig)
		}
	}
}

// ofOurServer captures what do has with our server.
func ofOurServer(secure bool, h func() http.Handler, do func(t *testing.T, ls *liveServer)) func(*testing.T) captured {
	return func(t *testing.T) captured {
		var k keyLog
		ls := startServer(t, secure, h(), secretServer(t, &k, nil))
		r := record(t, ls.Addr)
		do(t, ls)
		c := captured{file: r.stop(), keyLog: k.bytes()}
		if !secure {
			c.tshark = asHTTP2(ls.Addr)
		}
		return c
	}
}

// asHTTP2 tells tshark what a port speaks, which it does not find.
func asHTTP2(addr string) []string {
	_, port, _ := net.SplitHostPort(addr)
	return []string{"-d", "tcp.port==" + port + ",http2"}
}

// ofForeignServer captures what our client has with another server.
func ofForeignServer(secure bool, start func(*testing.T, bool) string, paths ...string) func(*testing.T) captured {
	return func(t *testing.T) captured {
		var k keyLog
		addr := start(t, secure)
		r := record(t, addr)
		tr := newTransport(t, func(tr *client.Transport) { tr.TLSClientConfig.KeyLogWriter = &k })
		scheme := "http://"
		if secure {
			scheme = "https://"
		}
		for _, path := range paths {
			fetchAnyway(t, tr, scheme+addr+path)
		}
		tr.CloseIdleConnections()
		c := captured{file: r.stop(), keyLog: k.bytes()}
		if !secure {
			c.tshark = asHTTP2(addr)
		}
		return c
	}
}

// fetchAnyway makes a request, and reads all of the response, whatever its status is.
func fetchAnyway(t *testing.T, rt http.RoundTripper, url string) {
	t.Helper()
	if err := fetch(t.Context(), rt, url); err != nil {
		t.Errorf("%s: %v", url, err)
	}
}

// withCurl has curl ask our server.
func withCurl(paths string, flags ...string) func(*testing.T, *liveServer) {
	return func(t *testing.T, ls *liveServer) {
		args := flags
		for _, path := range strings.Fields(paths) {
			args = append(args, ls.URL+path)
		}
		requireCurl(t).run(t, args...)
	}
}

// withNghttp has nghttp ask our server.
func withNghttp(paths string, flags ...string) func(*testing.T, *liveServer) {
	return func(t *testing.T, ls *liveServer) {
		args := append([]string{"-n", "-y"}, flags...)
		for _, path := range strings.Fields(paths) {
			args = append(args, ls.URL+path)
		}
		mustRunPeer(t, requirePeer(t, "nghttp"), args...)
	}
}

// withNode plays a case of testdata/client.mjs.
func withNode(name string, args ...string) func(*testing.T, *liveServer) {
	return func(t *testing.T, ls *liveServer) { runNode(t, ls, name, args...) }
}

// A captureCase is an exchange that is captured.
type captureCase struct {
	name string
	make func(*testing.T) captured
}

// takenCaptures are those of this run of the test program, by name.
var takenCaptures sync.Map

// take returns the capture of the exchange, which is made once for all tests.
func (c captureCase) take(t *testing.T) captured {
	t.Helper()
	if taken, ok := takenCaptures.Load(c.name); ok {
		return taken.(captured)
	}
	taken := c.make(t)
	takenCaptures.Store(c.name, taken)
	return taken
}

// captureCases are exchanges of all sorts, between peers of all sorts.
var captureCases = []captureCase{
	{"curl", ofOurServer(true, testHandler, withCurl("/hello /some /nothing", "--http2"))},
	{"curl over TLS 1.2", ofOurServer(true, testHandler, withCurl("/hello /some", "--http2", "--tls-max", "1.2"))},
	{"curl with AES-256", ofOurServer(true, testHandler, withCurl(
		"/hello", "--http2", "--tls13-ciphers", "TLS_AES_256_GCM_SHA384"))},
	{"curl with ChaCha20", ofOurServer(true, testHandler, withCurl(
		"/hello /some", "--http2", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256"))},
	{"curl with ChaCha20 over TLS 1.2", ofOurServer(true, testHandler, withCurl(
		"/hello", "--http2", "--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"))},
	{"curl in cleartext", ofOurServer(false, testHandler, withCurl("/trailers", "--http2-prior-knowledge"))},
	{"curl with a big header", ofOurServer(true, testHandler, withCurl(
		"/hello", "--http2", "-H", "X-Big: "+strings.Repeat("0123456789abcdef", 3000)))},
	{"nghttp", ofOurServer(true, testHandler, withNghttp("/hello /hints /trailers"))},
	{"nghttp with padding", ofOurServer(false, testHandler, withNghttp("/hello /some", "-b", "255"))},
	{"nghttp with CONTINUATION", ofOurServer(false, testHandler, withNghttp(
		"/hello /hello", "--continuation", "-m", "3"))},
	{"nghttp with a push", ofOurServer(true, testHandler, withNghttp("/push?asset=/some"))},
	{"nghttp with priorities", ofOurServer(false, testHandler, withNghttp("/hello /some", "-p", "1", "-p", "256"))},
	{"nghttp with HPACK tables resized", ofOurServer(true, testHandler, withNghttp(
		"/hello", "-m", "20", "-c", "0", "-c", "64K"))},
	{"nghttp without HPACK tables", ofOurServer(false, testHandler, withNghttp(
		"/hello", "-m", "20", "-c", "0", "--encoder-header-table-size", "0"))},
	{"node", ofOurServer(true, testHandler, withNode("trailers"))},
	{"node with a push", ofOurServer(false, testHandler, withNode("noPush"))},
	{"node with a reset", ofOurServer(true, testHandler, withNode("reset", "capture"))},
	{"every frame", ofOurServer(false, testHandler, func(t *testing.T, ls *liveServer) { tapFrames(t, dialRaw(t, ls)) })},
	{"extensions", ofOurServer(false, testHandler, withExtensions)},
	{"answered in reverse", ofOurServer(true, reverseHandler, askReversed)},
	{"HelloRetryRequest", helloRetried},
	{"KeyUpdate", keysUpdated},
	{"resumption", resumed},
	{"resumption by node", resumedByNode("TLSv1.3")},
	{"resumption of TLS 1.2", resumedByNode("TLSv1.2")},
	{"Chromium", ofOurServer(true, func() http.Handler { return &browserServer{conns: map[string]string{}} },
		func(t *testing.T, ls *liveServer) {
			var entries []timing
			browse(t, ls.URL, &entries)
		})},
	{"nghttpd", ofForeignServer(true, startNghttpd, "/hello", "/big", "/nothing")},
	{"nghttpd in cleartext", ofForeignServer(false, startNghttpd, "/hello", "/push", "/trailers")},
	{"a server in node", ofForeignServer(true, startNode, "/hello", "/hints", "/push")},
	{"a server in node, ORIGIN and ALTSVC", ofForeignServer(false, startNode, "/origins")},
}

// withExtensions sends frames of extensions.
func withExtensions(t *testing.T, ls *liveServer) {
	p := dialRaw(t, ls)
	p.greet(frame.Setting{ID: 0x2a2a, Value: 7}, frame.Setting{ID: frame.SettingNoRFC7540Priorities, Value: 1})
	p.add(frame.PriorityUpdate{PrioritizedID: 1, Value: []byte("u=1, i")})
	p.add(frame.Unknown{Header: frame.Header{Type: 0xbe, Flags: 0x55, StreamID: 3}, Payload: []byte("unknown")})
	p.headers(1, true, p.request("GET", "/hello", h2test.Field("priority", "u=2"), h2test.Field("x-empty", ""))...)
	p.mustFlush()
	p.sync()
}

// reverseHandler answers 100 requests, when all have come, from the last to the first, and each in
// two parts.
func reverseHandler() http.Handler {
	const all = 100
	var mu sync.Mutex
	var turns [all + 1]chan struct{}
	for i := range turns {
		turns[i] = make(chan struct{})
	}
	came := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		mine := came
		if came++; came == all {
			close(turns[all])
		}
		mu.Unlock()
		fmt.Fprintf(w, "first part of %s", r.URL.Path)
		rc := http.NewResponseController(w)
		if rc.Flush() != nil {
			return
		}
		<-turns[mine+1]
		fmt.Fprintf(w, "second part of %s", r.URL.Path)
		_ = rc.Flush() // the client may have gone
		close(turns[mine])
	})
}

// askReversed makes the requests of reverseHandler at once.
func askReversed(t *testing.T, ls *liveServer) {
	tr := newTransport(t)
	fetchAnyway(t, roundTripperOf(tr), ls.URL+"/0") // once the connection is there, all use it
}

// roundTripperOf makes 100 requests of one.
func roundTripperOf(tr *client.Transport) http.RoundTripper {
	return roundTrips(func(r *http.Request) (*http.Response, error) {
		var group sync.WaitGroup
		for i := 1; i < 100; i++ {
			group.Go(func() {
				other := r.Clone(r.Context())
				other.URL.Path = fmt.Sprint("/", i)
				resp, err := tr.RoundTrip(other)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			})
		}
		defer group.Wait()
		return tr.RoundTrip(r)
	})
}

type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// resumed captures two connections of our client, the second of which resumes the session of the
// first.
func resumed(t *testing.T) captured {
	var k keyLog
	ls := startServer(t, true, testHandler(), secretServer(t, &k, nil))
	cache := tls.NewLRUClientSessionCache(1)
	r := record(t, ls.Addr)
	for range 2 {
		tr := newTransport(t, func(tr *client.Transport) { tr.TLSClientConfig.ClientSessionCache = cache })
		fetchAnyway(t, tr, ls.URL+"/hello")
		tr.CloseIdleConnections()
	}
	return captured{file: r.stop(), keyLog: k.bytes()}
}

// resumedByNode does the same with node, which, unlike crypto/tls, logs the secrets of a session of
// TLS 1.2 that is resumed.
func resumedByNode(version string) func(*testing.T) captured {
	return func(t *testing.T) captured {
		node := requirePeer(t, "node", "nodejs")
		keys := filepath.Join(t.TempDir(), "keys")
		ls := startServer(t, true, testHandler())
		r := record(t, ls.Addr)
		out := mustRunPeer(t, node, "--tls-keylog="+keys, "testdata/resume.mjs", ls.URL, version).stdout
		if out != "true\n" {
			t.Errorf("node says %q: the session was not resumed", out)
		}
		c := captured{file: r.stop()}
		var err error
		if c.keyLog, err = os.ReadFile(keys); err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// linesOf reads a capture and returns its events as lines of JSON.
func linesOf(t *testing.T, file, keys []byte) (lines []byte, err error) {
	t.Helper()
	_, err = capture.Read(bytes.NewReader(file), capture.Options{KeyLog: keys, ShowSecrets: true}, func(e capture.Event) {
		lines = append(capture.AppendJSON(lines, e), '\n')
	})
	return lines, err
}

// Of every exchange we see the same frames as tshark, and no others if the capture is damaged.
func TestCaptureTshark(t *testing.T) {
	for _, tt := range captureCases {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.take(t)
			keys := ""
			if len(c.keyLog) > 0 {
				keys = writeCapture(t, "keys", c.keyLog)
			}
			want := tsharkFrames(t, writeCapture(t, "capture.pcapng", c.file), keys, c.tshark...)
			lines, err := linesOf(t, c.file, c.keyLog)
			if err != nil {
				t.Fatal(err)
			}
			got := ourFrames(t, lines)
			if gaps := gapsOf(t, lines); len(gaps) > 0 {
				t.Errorf("gaps: %v", gaps)
			}
			if len(want) < 2 {
				t.Errorf("tshark sees %d directions of HTTP/2", len(want))
			}
			sameFrames(t, "tshark", want, got)
			t.Run("damaged", func(t *testing.T) { readDamaged(t, c) })
		})
	}
}
