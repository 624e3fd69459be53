package get

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// testServer is a server of the tests.
type testServer struct {
	url   string
	roots string // file of its certificate
}

func newTestServer(t *testing.T) *testServer {
	t.Helper()
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello by %s\n", r.Proto)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(make([]byte, 1_000_000)) // the client sees what is missing
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half")) // the client sees what is missing
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		kind := r.Header.Get("Content-Type")
		fmt.Fprintf(w, "%s %s %d %s %s\n", r.Method, kind, r.ContentLength, body, r.Header.Get("A"))
	})
	pushForever(mux)
	mux.Handle("/moved", http.RedirectHandler("/hello", http.StatusFound))
	mux.HandleFunc("/push", func(w http.ResponseWriter, _ *http.Request) {
		if p, ok := w.(http.Pusher); ok {
			if err := p.Push("/hello", nil); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprintln(w, "pushed")
	})
	srv := &server.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}, Handler: mux, ErrorLog: log.New(io.Discard, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.ServeTLS(l, "", "") }()
	t.Cleanup(func() {
		_ = srv.Close()
		<-ended
	})
	s := &testServer{url: "https://" + l.Addr().String(), roots: filepath.Join(t.TempDir(), "roots.pem")}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})
	if err := os.WriteFile(s.roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// get runs the command, and returns what it writes.
func (s *testServer) get(o Options, paths ...string) (out, errs string, err error) {
	var stdout, stderr bytes.Buffer
	for _, p := range paths {
		o.URLs = append(o.URLs, s.url+p)
	}
	o.Repeat, o.Parallel = max(o.Repeat, 1), max(o.Parallel, 1)
	o.Out, o.Err, o.CACert, o.Proxy = &stdout, &stderr, s.roots, "none"
	err = Run(context.Background(), o)
	return stdout.String(), stderr.String(), err
}

func TestGet(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "photo.jpg")
	if err := os.WriteFile(file, []byte("photo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o     Options
		paths []string
		want  string // regular expression
		fail  string
	}{
		"one":   {paths: []string{"/hello"}, want: "hello by HTTP/2.0\n"},
		"http1": {o: Options{HTTP1: true}, paths: []string{"/hello"}, want: "hello by HTTP/1.1\n"},
		"in order": {
			o:     Options{Parallel: 9},
			paths: []string{"/big", "/hello"},
			want:  "\x00+hello by HTTP/2.0\n",
		},
		"repeated": {o: Options{Repeat: 3}, paths: []string{"/hello"}, want: "(hello by HTTP/2.0\n){3}"},
		"head": {
			o:     Options{Head: true},
			paths: []string{"/hello"},
			want:  "HTTP/2.0 200 OK\r\n(.+\r\n)+\r\nhello .*\n",
		},
		"redirect": {paths: []string{"/moved"}, want: `(?s).*href="/hello".*`},
		"followed": {o: Options{Follow: true}, paths: []string{"/moved"}, want: "hello by HTTP/2.0\n"},
		"data": {
			o:     Options{Data: "a=b"},
			paths: []string{"/echo"},
			want:  "POST application/x-www-form-urlencoded 3 a=b \n",
		},
		"file": {
			o:     Options{Data: "@" + file, Method: "PUT"},
			paths: []string{"/echo"},
			want:  "PUT image/jpeg 5 photo \n",
		},
		"standard in": {
			o:     Options{Data: "@-", In: strings.NewReader("in")},
			paths: []string{"/echo"},
			want:  "POST application/octet-stream -1 in \n",
		},
		"field": {
			o:     Options{Header: []string{"A: 1"}},
			paths: []string{"/echo"},
			want:  "GET  0  1\n",
		},
		"own type": {
			o:     Options{Data: "x", Header: []string{"content-type: a/b"}},
			paths: []string{"/echo"},
			want:  "POST a/b 1 x \n",
		},
		"status": {paths: []string{"/none"}, want: "404 page not found\n"},
		"status fails": {
			o:     Options{Fail: true},
			paths: []string{"/none"},
			want:  "404 page not found\n", fail: "404 Not Found",
		},
		"cut": {paths: []string{"/cut"}, want: "half", fail: "INTERNAL_ERROR"},
		"one of two": {
			paths: []string{"/cut", "/hello"},
			want:  "halfhello by HTTP/2.0\n", fail: "1 of 2 requests have failed",
		},
		"secret hidden": {
			paths: []string{"/cut?token=abc"},
			want:  "half", fail: `\?token=\(hidden, 3 octets\): `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			out, errs, err := s.get(tt.o, tt.paths...)
			if !regexp.MustCompile("^(?:" + tt.want + ")$").MatchString(out) {
				t.Errorf("%.300q, want %s", out, tt.want)
			}
			if err == nil != (tt.fail == "") || err != nil && !regexp.MustCompile(tt.fail).MatchString(err.Error()) {
				t.Errorf("error %v, want %q\n%s", err, tt.fail, errs)
			}
		})
	}
}

func TestStat(t *testing.T) {
	s := newTestServer(t)
	out, errs, err := s.get(Options{Stat: true, Repeat: 2, Parallel: 4}, "/hello", "/push?key=abc")
	if err != nil {
		t.Fatal(err, errs)
	}
	for _, want := range []string{
		`(?m)^ *status +proto +octets +dns +connect +tls +queue +send +wait +content +total +URL$`,
		`(?m)^ +200 +HTTP/2.0 +18 .* https://[0-9.:]+/hello$`,
		`(?m)^ +200 +pushed +18 .*/hello \(for https://.*key=\(hidden, 3 octets\)\)$`,
		`4 requests, 2 pushes, 86 octets in \S+ over [1-4] connections of HTTP/2`, // more than 1 where a dial takes long
		`total: least \S+, median \S+, most \S+`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("it lacks %s:\n%s", want, out)
		}
	}
	if n := len(regexp.MustCompile(`(?m)^ +200 +HTTP/2.0 `).FindAllString(out, -1)); n != 4 {
		t.Errorf("%d lines of requests:\n%s", n, out)
	}
}

func TestOutput(t *testing.T) {
	s := newTestServer(t)
	dir := t.TempDir()
	folder := filepath.Join(dir, "to") + "/"
	_, errs, err := s.get(Options{Output: folder, Terminal: 100, Parallel: 4}, "/hello", "/big", "/hello", "/cut")
	if err == nil || err.Error() != "1 of 4 requests have failed" {
		t.Error(err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d", e.Name(), info.Size()))
	}
	if diff := cmp.Diff([]string{"big 1000000", "hello 18", "hello.1 18"}, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(errs, "976.6 KiB / 976.6 KiB") {
		t.Errorf("no bar of /big:\n%q", errs)
	}
	if _, _, err := s.get(Options{Output: filepath.Join(dir, "one")}, "/hello", "/hello"); err == nil {
		t.Error("two contents in one file")
	}
	if _, _, err := s.get(Options{Output: os.DevNull}, "/hello"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode().IsRegular() {
		t.Error("the null device is a file now", err)
	}
}

func TestFileName(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example":              "index.html",
		"https://a.example/b/":           "index.html",
		"https://a.example/b/c.txt?x=/d": "c.txt",
		"https://a.example/..":           "index.html",
		"https://a.example/%2e%2e%2fb":   "b",
		"https://a.example/.profile":     "profile",
		"https://a.example/a:b":          "a_b",
	} {
		if got := unique(fileName(text), map[string]bool{}); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestUpload(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, err := s.get(Options{Data: "@" + file, Terminal: 100}, "/echo")
	if err != nil || !strings.Contains(errs, "1.0 MiB / 1.0 MiB") {
		t.Errorf("%v\n%q", err, errs)
	}
}

func TestKeyLog(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "keys")
	_, errs, err := s.get(Options{KeyLog: file}, "/hello")
	if err != nil || !strings.Contains(errs, "Keys of TLS are written to "+file) {
		t.Errorf("%v: %s", err, errs)
	}
	text, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(text, []byte("CLIENT_TRAFFIC_SECRET_0 ")) {
		t.Errorf("%v: %s", err, text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
}

// The frames are shown, without what is secret, and recorded.
func TestVerbose(t *testing.T) {
	s := newTestServer(t)
	file := filepath.Join(t.TempDir(), "record.pcapng")
	o := Options{Verbose: true, Record: file, Header: []string{"Authorization: Bearer abc"}, Color: "never"}
	out, errs, err := s.get(o, "/hello")
	if err != nil || out != "hello by HTTP/2.0\n" {
		t.Error(out, err)
	}
	for _, want := range []string{"SETTINGS", "HEADERS", "GET", "/hello", "authorization: Bearer (hidden", "DATA"} {
		if !strings.Contains(errs, want) {
			t.Errorf("%s is not shown:\n%s", want, errs)
		}
	}
	if strings.Contains(errs, "abc") {
		t.Errorf("a secret is shown:\n%s", errs)
	}
	requests := 0
	_, err = capture.ReadFile(file, capture.Options{}, func(e capture.Event) {
		if r, ok := e.(*capture.Request); ok && r.Path == "/hello" && r.Status == 200 {
			requests++
		}
	})
	if err != nil || requests != 1 {
		t.Errorf("%d requests were recorded, %v", requests, err)
	}
}

func TestWrongFlags(t *testing.T) {
	for want, o := range map[string]Options{
		"a URL is missing":          {},
		"has no scheme: https://a":  {URLs: []string{"a.example"}},
		"has no scheme: https://l":  {URLs: []string{"localhost:8080/"}},
		"has no scheme: https://1":  {URLs: []string{"127.0.0.1:8080/"}},
		"the scheme is ftp":         {URLs: []string{"ftp://a.example"}},
		"names no host":             {URLs: []string{"https:///a"}},
		`is not "Name: value"`:      {URLs: []string{"https://a"}, Header: []string{"a"}},
		"exclude each other":        {URLs: []string{"https://a"}, HTTP1: true, H2C: true},
		"it cannot be with":         {URLs: []string{"https://a"}, Stat: true, Output: "a"},
		"can be sent once":          {URLs: []string{"https://a", "https://b"}, Data: "@-"},
		"no such file":              {URLs: []string{"https://a"}, Data: "@/none"},
		"is not a URL such as http": {URLs: []string{"https://a"}, Proxy: "localhost"},
	} {
		o.Repeat, o.Parallel = 1, 1
		if err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	s := newTestServer(t)
	s.roots = ""
	_, _, err := s.get(Options{}, "/hello")
	if err == nil || !strings.Contains(err.Error(), "--cacert FILE trusts it") {
		t.Error(err)
	}
	if out, _, err := s.get(Options{Insecure: true}, "/hello"); err != nil || out != "hello by HTTP/2.0\n" {
		t.Error(out, err)
	}
	if _, _, err := s.get(Options{Insecure: true, Timeout: time.Nanosecond}, "/hello"); err == nil ||
		!strings.Contains(err.Error(), "no end within --timeout") {
		t.Error(err)
	}
}

// The spans of a request are its time: what is no other span until it had a stream is the queue.
func TestSpans(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(1000 + ms)) }
	for name, tt := range map[string]struct {
		timing *timing
		want   time.Duration
	}{
		"a connection of its own": {&timing{
			asked: at(0), dnsStart: at(0), dnsEnd: at(2), tcpStart: at(2), tcpEnd: at(5),
			tlsStart: at(5), tlsEnd: at(9), gotConn: at(9),
		}, 0},
		"a stream that was not free": {&timing{asked: at(0), gotConn: at(40)}, 40 * time.Millisecond},
		"another was there first":    {&timing{asked: at(0), tcpStart: at(1), tcpEnd: at(9), gotConn: at(5)}, 0},
		"no stream":                  {&timing{asked: at(0)}, -1},
	} {
		if got := tt.timing.spans().queue; got != tt.want {
			t.Errorf("%s: the queue is %v, want %v", name, got, tt.want)
		}
	}
}
