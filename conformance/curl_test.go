package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// curl is a curl that knows HTTP/2, run without the user's configuration.
type curl struct{ path string }

func requireCurl(t *testing.T) curl {
	t.Helper()
	c := curl{requirePeer(t, "curl")}
	if v := mustRunPeer(t, c.path, "--version").stdout; !strings.Contains(v, "HTTP2") {
		peerMissing(t, "curl was built without HTTP/2")
	}
	return c
}

// run returns the response's body and, of all that -v prints, the lines about the protocol.
func (c curl) run(t *testing.T, args ...string) (body, verbose string) {
	t.Helper()
	// -q has to come first: it keeps ~/.curlrc out.
	r := mustRunPeer(
		t,
		c.path,
		append([]string{"-q", "-sS", "-v", "-k", "--noproxy", "*", "--max-time", "200"}, args...)...)
	return r.stdout, r.stderr
}

func TestCurlVersions(t *testing.T) {
	c := requireCurl(t)
	plain, secure := startServer(t, false, testHandler()), startServer(t, true, testHandler())
	tests := []struct {
		name, proto string
		ls          *liveServer
		flags       []string
	}{
		{"prior knowledge", "HTTP/2.0", plain, []string{"--http2-prior-knowledge"}},
		{"upgrade", "HTTP/2.0", plain, []string{"--http2"}},
		{"HTTP/1.1 in cleartext", "HTTP/1.1", plain, []string{"--http1.1"}},
		{"HTTP/1.0 in cleartext", "HTTP/1.0", plain, []string{"--http1.0"}},
		{"ALPN h2", "HTTP/2.0", secure, []string{"--http2"}},
		{"ALPN h2 over TLS 1.2", "HTTP/2.0", secure, []string{"--http2", "--tls-max", "1.2"}},
		{"ALPN http/1.1", "HTTP/1.1", secure, []string{"--http1.1"}},
		{"no ALPN", "HTTP/1.1", secure, []string{"--no-alpn"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body, verbose := c.run(t, append(tt.flags, tt.ls.URL+"/proto")...)
			if want := fmt.Sprintf("GET %s %s", tt.proto, tt.ls.Addr); body != want {
				t.Errorf("the handler saw %q, want %q\n%s", body, want, clip(verbose))
			}
			wire := strings.TrimSuffix(tt.proto, ".0")
			if tt.proto == "HTTP/1.0" {
				wire = "HTTP/1." // the version in an answer is the server's own
			}
			wantContains(t, "curl -v", verbose, "< "+wire)
		})
	}
}

// modes are the ways in which curl carries a request over HTTP/2, and HTTP/1.1 on the same ports.
var modes = []struct {
	name   string
	secure bool
	flag   string
	proto  string
}{
	{"h2c", false, "--http2-prior-knowledge", "HTTP/2.0"},
	{"upgrade", false, "--http2", "HTTP/2.0"},
	{"h2", true, "--http2", "HTTP/2.0"},
	{"http1", false, "--http1.1", "HTTP/1.1"},
	{"http1 over TLS", true, "--http1.1", "HTTP/1.1"},
}

func TestCurlUpload(t *testing.T) {
	c := requireCurl(t)
	file := bigFile(t)
	for _, m := range modes {
		if m.name == "upgrade" {
			continue // a request with a body may not be an upgrade; curl sends one after the other
		}
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			want := fmt.Sprintf("%s %d %s", m.proto, uploadSize, checksum(bigBody()))
			for _, how := range []string{"--upload-file", "--data-binary"} {
				arg := file
				if how == "--data-binary" {
					arg = "@" + file
				}
				body, verbose := c.run(t, m.flag, how, arg, ls.URL+"/upload")
				if body != want {
					t.Errorf("%s: answer %q, want %q\n%s", how, body, want, clip(verbose))
				}
			}
		})
	}
}

func TestCurlDownload(t *testing.T) {
	c := requireCurl(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			out := filepath.Join(t.TempDir(), "out")
			c.run(t, m.flag, "-o", out, ls.URL+"/big")
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != uploadSize || checksum(got) != checksum(bigBody()) {
				t.Errorf("%d octets with checksum %s, want %d with %s",
					len(got), checksum(got), uploadSize, checksum(bigBody()))
			}
		})
	}
}

func TestCurlExpectContinue(t *testing.T) {
	c := requireCurl(t)
	file := bigFile(t)
	for _, m := range modes {
		if m.name == "upgrade" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			wire := strings.TrimSuffix(m.proto, ".0")
			body, verbose := c.run(t, m.flag, "-H", "Expect: 100-continue", "--expect100-timeout", "20",
				"--upload-file", file, ls.URL+"/upload")
			want := fmt.Sprintf("%s %d %s", m.proto, uploadSize, checksum(bigBody()))
			if body != want {
				t.Errorf("answer %q, want %q", body, want)
			}
			wantContains(t, "curl -v", verbose, "< "+wire+" 100", "< "+wire+" 200")
		})
	}
}

func TestCurlTrailers(t *testing.T) {
	c := requireCurl(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			heads := filepath.Join(t.TempDir(), "heads") // for HTTP/1.1, -v leaves the trailers out
			body, _ := c.run(t, m.flag, "-D", heads, ls.URL+"/trailers")
			if want := "body= x-client="; body != want {
				t.Errorf("answer %q, want %q", body, want)
			}
			got, err := os.ReadFile(heads)
			if err != nil {
				t.Fatal(err)
			}
			head, trailers, _ := strings.Cut(strings.ToLower(string(got)), "\r\n\r\n")
			if m.name == "upgrade" { // the 101 has a head of its own
				head, trailers, _ = strings.Cut(trailers, "\r\n\r\n")
			}
			wantContains(t, "the head", head, "trailer: x-checksum")
			wantContains(t, "the trailers", trailers, "x-checksum: "+checksum([]byte(body)), "x-late: yes")
		})
	}
}

func TestCurlEarlyHints(t *testing.T) {
	c := requireCurl(t)
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			wire := strings.TrimSuffix(m.proto, ".0")
			body, verbose := c.run(t, m.flag, ls.URL+"/hints")
			if body != helloBody {
				t.Errorf("answer %q, want %q", body, helloBody)
			}
			early := strings.Index(verbose, "< "+wire+" 103")
			final := strings.Index(verbose, "< "+wire+" 200")
			if early < 0 || final < early {
				t.Fatalf("no 103 before the 200:\n%s", clip(verbose))
			}
			wantContains(t, "the 103", strings.ToLower(verbose[early:final]), "link: "+earlyLink)
			if strings.Contains(strings.ToLower(verbose[final:]), "link: ") {
				t.Errorf("the 200 has the link too:\n%s", clip(verbose[final:]))
			}
		})
	}
}

// Several requests of one curl share one connection.
func TestCurlReusesConnection(t *testing.T) {
	c := requireCurl(t)
	ls := startServer(t, true, testHandler())
	args := []string{"--http2", "--parallel"}
	for range 20 {
		args = append(args, ls.URL+"/hello")
	}
	body, _ := c.run(t, args...)
	if want := strings.Repeat(helloBody, 20); body != want {
		t.Errorf("answers %q, want %q", body, want)
	}
	if n := ls.Accepted.Load(); n != 1 {
		t.Errorf("%d connections for 20 requests, want 1", n)
	}
}
