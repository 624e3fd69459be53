package inspect

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/client"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/server"
)

// recorded is a capture of a few requests in cleartext.
func recorded(t *testing.T) []byte { return recordedWith(t, nil) }

// recordedWith is one of connections over TLS, whose secrets go to keys, or in cleartext.
func recordedWith(t *testing.T, keys io.Writer) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := capture.NewPcapWriter(&file)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &server.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Set-Cookie", "a=secret-of-the-server")
			if r.URL.Path == "/missing" {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = io.WriteString(w, "body of "+r.URL.Path)
		}),
	}
	ended := make(chan error, 1)
	scheme, serve := "http://", func() error { return srv.Serve(l) }
	tr := &client.Transport{DialContext: w.WrapDial(nil), Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	if keys != nil {
		cert, err := selfsigned.Certificate()
		if err != nil {
			t.Fatal(err)
		}
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
		scheme, serve = "https://", func() error { return srv.ServeTLS(l, "", "") }
		tr.Protocols.SetHTTP2(true)
		tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, KeyLogWriter: keys} //nolint:gosec // of the test
	}
	go func() { ended <- serve() }()
	for _, path := range []string{"/one?token=secret-of-the-path", "/missing", "/three"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer secret-of-the-client")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	tr.CloseIdleConnections()
	srv.Close()
	<-ended
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// inspected is what a run of the command prints, and its exit status.
type inspected struct {
	out, err string
	status   int
}

// inspectIt runs the command.
func inspectIt(t *testing.T, o Options) inspected {
	t.Helper()
	var out, errOut bytes.Buffer
	if o.Out == nil {
		o.Out = &out
	}
	o.Err = &errOut
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	err := Run(t.Context(), o)
	r := inspected{out: out.String(), err: errOut.String()}
	if err != nil {
		r.err += err.Error()
		var status *StatusError
		if !errors.As(err, &status) {
			t.Fatalf("the error has no exit status: %v", err)
		}
		r.status = status.Code
	}
	return r
}

// written writes a file for the command.
func written(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "capture.pcapng")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRun(t *testing.T) {
	file := recorded(t)
	name := written(t, file)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(file)
	z.Close()
	for _, tt := range []struct {
		name   string
		o      Options
		want   []string
		not    []string
		status int
	}{
		{
			"text",
			Options{},
			[]string{
				"HTTP/2 (found by its preface)", "→ SETTINGS ", "← WINDOW_UPDATE ",
				"→ HEADERS            1  END_STREAM|END_HEADERS",
				"/one?token=(hidden, ", "authorization: Bearer (hidden, ", "set-cookie: a=(hidden, ", "← DATA               1",
				"request 3: GET http://127.0.0.1:", "/missing 404", "1 connection: 1 of HTTP/2",
				"3 requests: 2 2xx, 1 4xx", "0 errors, 0 warnings",
			},
			[]string{"secret-of", "\x1b", "missing:"},
			0,
		},
		{
			"secrets",
			Options{ShowSecrets: true},
			[]string{"/one?token=secret-of-the-path", "Bearer secret-of-the-client", "a=secret-of-the-server"},
			nil, 0,
		},
		{
			"standard input",
			Options{Files: []string{"-"}, In: bytes.NewReader(file)},
			[]string{"3 requests: 2 2xx, 1 4xx"},
			nil, 0,
		},
		{"gzip", Options{Files: []string{"-"}, In: &zipped}, []string{"3 requests: 2 2xx, 1 4xx"}, nil, 0},
		{
			"errors alone",
			Options{Errors: true},
			[]string{"404", "3 requests"},
			[]string{"HEADERS            1", "HEADERS            5"},
			0,
		},
		{"a stream", Options{Streams: []string{"5"}}, []string{"/three"}, []string{"/one", "/missing", "SETTINGS"}, 0},
		{
			"requests",
			Options{Requests: true},
			[]string{"404  GET http://127.0.0.1:", "response and request"},
			[]string{"SETTINGS"},
			0,
		},
		{
			"as HTTP/1.1",
			Options{As: "http1"},
			[]string{
				"# connection 1, stream 1, 2", "GET /one?token=(hidden, 18 octets) HTTP/1.1\nhost: ",
				"[12 octets of content]\n\n# connection 1, stream 3, ",
			},
			[]string{"SETTINGS", "secret-of"},
			0,
		},
		{
			"as HTTP/1.1 with bodies",
			Options{As: "http1", Bodies: true},
			[]string{"\nbody of /one\n", "\nbody of /missing\n"},
			nil, 0,
		},
		{
			"bodies",
			Options{Bodies: true},
			[]string{"← content            1  12 octets of text/plain; charset=utf-8\n", "| body of /one\n"},
			nil, 0,
		},
		{
			"bodies of a stream's HEADERS",
			Options{Bodies: true, Streams: []string{"3"}, Types: []string{"headers"}},
			[]string{"| body of /missing\n"},
			[]string{"/one", "DATA"},
			0,
		},
		{"colours", Options{Color: ColorAlways}, []string{"\x1b["}, nil, 0},
		{
			"cut",
			Options{Files: []string{"-"}, In: bytes.NewReader(file[:len(file)-50])},
			[]string{"→ HEADERS", "3 requests"},
			nil, 2,
		},
		{"no capture", Options{Files: []string{"-"}, In: strings.NewReader("this is no capture")}, nil, nil, 2},
		{"nothing", Options{Files: []string{"-"}, In: strings.NewReader("")}, nil, nil, 2},
		{"no file", Options{Files: []string{"/nowhere/at/all"}}, nil, nil, 2},
		{"a directory", Options{Files: []string{t.TempDir()}}, nil, nil, 2},
		{"no key log", Options{KeyLog: "/nowhere/at/all"}, nil, nil, 2},
		{"two outputs", Options{JSON: true, Requests: true}, nil, nil, 2},
		{"a wrong colour", Options{Color: "green"}, nil, nil, 2},
		{"diff without legs", Options{Diff: true}, nil, nil, 2},
		{
			"diff with itself",
			Options{Diff: true, Files: []string{name, name}},
			[]string{"3 pairs, 3 of them the same"},
			nil, 0,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.Files == nil {
				tt.o.Files = []string{name}
			}
			r := inspectIt(t, tt.o)
			for _, text := range tt.want {
				if !strings.Contains(r.out, text) {
					t.Errorf("the output lacks %q:\n%s", text, r.out)
				}
			}
			for _, text := range tt.not {
				if strings.Contains(r.out, text) {
					t.Errorf("the output has %q:\n%s", text, r.out)
				}
			}
			if r.status != tt.status {
				t.Errorf("exit status %d, want %d; %s", r.status, tt.status, r.err)
			}
			if tt.status == 2 && r.err == "" {
				t.Error("it does not say why")
			}
		})
	}
}

func TestRunJSON(t *testing.T) {
	r := inspectIt(t, Options{Files: []string{written(t, recorded(t))}, JSON: true})
	kinds := map[string]int{}
	for line := range strings.Lines(r.out) {
		var e struct{ Kind string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kinds[e.Kind]++
	}
	if kinds["connection"] != 1 || kinds["request"] != 3 || kinds["end"] != 1 || kinds["frame"] < 12 {
		t.Errorf("events by kind: %v", kinds)
	}
	if r.status != 0 || strings.Contains(r.out, "secret-of") {
		t.Errorf("exit status %d, output:\n%s", r.status, r.out)
	}
	r = inspectIt(t, Options{Files: []string{written(t, recorded(t))}, JSON: true, Bodies: true, Streams: []string{"1"}})
	if want := `"sent":12,"length":12,"text":"body of /one"}`; strings.Count(r.out, want) != 1 ||
		strings.Contains(r.out, `"kind":"body"`) {
		t.Errorf("the output lacks %s:\n%s", want, r.out)
	}
}

// A closed pager ends the command in silence, and at once.
func TestRunClosedOutput(t *testing.T) {
	file := bytes.Repeat(recorded(t), 1)
	for _, err := range []error{syscall.EPIPE, io.ErrClosedPipe} {
		r := inspectIt(t, Options{
			Files: []string{"-"}, In: bytes.NewReader(file), JSON: true, Out: failingWriter{err},
		})
		if r.status != 0 || r.err != "" {
			t.Errorf("%v: exit status %d, %q", err, r.status, r.err)
		}
	}
	r := inspectIt(t, Options{Files: []string{"-"}, In: bytes.NewReader(file), Out: failingWriter{syscall.ENOSPC}})
	if r.status != 2 || !strings.Contains(r.err, "no space left") {
		t.Errorf("a full disk: exit status %d, %q", r.status, r.err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

// The key log of the environment is used, which is said; one that is not there yet is none.
func TestKeyLogOfEnvironment(t *testing.T) {
	name := written(t, []byte("# no keys\n"))
	for file, want := range map[string]string{name: "# no keys\n", name + ".none": ""} {
		var said bytes.Buffer
		o := Options{Err: &said, Getenv: func(variable string) string {
			if variable == "SSLKEYLOGFILE" {
				return file
			}
			return ""
		}}
		k, err := o.openKeyLog()
		if err != nil {
			t.Fatal(err)
		}
		defer k.close()
		b, err := k.all()
		if err != nil || string(b) != want || !strings.Contains(said.String(), file) {
			t.Errorf("%s: %q, %v; it says %q", file, b, err, &said)
		}
	}
}
