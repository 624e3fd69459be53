package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// nghttpModes are the ways in which nghttp reaches a server: it knows no HTTP/1.1 beyond the
// upgrade.
var nghttpModes = []struct {
	name   string
	secure bool
	flags  []string
}{
	{"h2c", false, nil},
	{"upgrade", false, []string{"-u"}},
	{"h2", true, []string{"-y"}},
}

// nghttpErrors matches what nghttp prints about a frame or a response that it does not accept.
var nghttpErrors = regexp.MustCompile(
	`(?m)^.*(\[ERROR\]|\[INVALID|Some requests were not processed|` +
		`error_code=[A-Z_]*_(ERROR|CALM|STREAM|CLOSED|TIMEOUT)).*$`,
)

// runNghttp runs nghttp and reports the errors that it prints; its exit status is 0 even then.
func runNghttp(t *testing.T, args ...string) string {
	t.Helper()
	r := mustRunPeer(t, requirePeer(t, "nghttp"), args...)
	said := r.stderr
	if slices.Contains(args, "-v") {
		said += r.stdout // else that is the body alone
	}
	for _, line := range nghttpErrors.FindAllString(said, -1) {
		if !strings.Contains(line, "error_code=NO_ERROR") {
			t.Errorf("nghttp %q: %s\n%s", args, line, clip(r.stdout))
		}
	}
	return r.stdout
}

// nghttp -v prints every frame both ways: the exchange has the shape that RFC 9113 §3.4 and §8.1
// give it.
func TestNghttpFrames(t *testing.T) {
	for _, m := range nghttpModes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			out := runNghttp(t, append(m.flags, "-v", ls.URL+"/proto")...)
			wantContains(t, "nghttp -v", out, "recv SETTINGS frame", ":status: 200", "; END_STREAM",
				"GET HTTP/2.0 "+ls.Addr)
			if m.name == "upgrade" { // the answer may be complete before SETTINGS are acknowledged
				wantContains(
					t,
					"nghttp -v -u",
					out,
					"101 Switching Protocols",
					"HTTP Upgrade success",
					"recv (stream_id=1) :status: 200",
				)
			} else {
				wantContains(t, "nghttp -v", out, "; ACK")
			}
		})
	}
}

func TestNghttpUpload(t *testing.T) {
	file := bigFile(t)
	want := fmt.Sprintf("HTTP/2.0 %d %s", uploadSize, checksum(bigBody()))
	tests := []struct {
		name  string
		flags []string
	}{
		{"plain", nil},
		{"padded", []string{"-b", "255"}},
		{"without content-length", []string{"--no-content-length"}},
		{"expect continue", []string{"--expect-continue"}},
	}
	for _, m := range nghttpModes {
		for _, tt := range tests {
			t.Run(m.name+"/"+tt.name, func(t *testing.T) {
				ls := startServer(t, m.secure, testHandler())
				args := append(append([]string{"-d", file}, m.flags...), tt.flags...)
				if out := runNghttp(t, append(args, ls.URL+"/upload")...); !strings.Contains(out, want) {
					t.Errorf("the answer lacks %q:\n%s", want, clip(out))
				}
				if tt.name == "expect continue" {
					out := runNghttp(t, append(args, "-v", ls.URL+"/upload")...)
					wantContains(t, "nghttp -v", out, ":status: 100", ":status: 200")
				}
			})
		}
	}
}

func TestNghttpDownload(t *testing.T) {
	for _, m := range nghttpModes {
		for _, window := range []string{"8", "16", "30"} { // stream windows of 255 octets, 64 KiB and 1 GiB
			t.Run(m.name+"/window 2^"+window, func(t *testing.T) {
				ls := startServer(t, m.secure, testHandler())
				path, want := "/big", bigBody()
				if window == "8" {
					path, want = "/some", bigBody()[:someSize] // a frame for each 255 octets
				}
				out := runNghttp(t, append(m.flags, "-w", window, "-W", window, ls.URL+path)...)
				if checksum([]byte(out)) != checksum(want) {
					t.Errorf("%d octets with checksum %s, want %d with %s",
						len(out), checksum([]byte(out)), len(want), checksum(want))
				}
			})
		}
	}
}

func TestNghttpTrailers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("small"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, m := range nghttpModes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			out := runNghttp(t, append(m.flags, "-v", "-d", file, "--trailer", "x-client: from nghttp", ls.URL+"/trailers")...)
			reply := "body=small x-client=from nghttp"
			wantContains(t, "nghttp -v", out, reply, "x-checksum: "+checksum([]byte(reply)), "x-late: yes")
			data, trailers := strings.Index(out, reply), strings.Index(out, "x-checksum: ")
			if trailers < data {
				t.Errorf("the trailers came before the body:\n%s", clip(out))
			}
		})
	}
}

// Requests whose header blocks need CONTINUATION frames, and peers that change the size of the
// HPACK tables.
func TestNghttpHeaderBlocks(t *testing.T) {
	tests := []struct {
		name  string
		flags []string
	}{
		{"continuation", []string{"--continuation"}},
		{"no dynamic table", []string{"-c", "0", "--encoder-header-table-size", "0"}},
		{"table shrunk, then grown", []string{"-c", "0", "-c", "64K"}},
		{"no priorities", []string{"--no-dep", "--no-rfc7540-pri"}},
	}
	for _, m := range nghttpModes {
		for _, tt := range tests {
			t.Run(m.name+"/"+tt.name, func(t *testing.T) {
				ls := startServer(t, m.secure, testHandler())
				args := append(append([]string{"-m", "20"}, m.flags...), tt.flags...)
				out := runNghttp(t, append(args, ls.URL+"/hello")...)
				if want := strings.Repeat(helloBody, 20); out != want {
					t.Errorf("answers %q, want %q", out, want)
				}
			})
		}
	}
}

func TestNghttpEarlyHints(t *testing.T) {
	for _, m := range nghttpModes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			out := runNghttp(t, append(m.flags, "-v", ls.URL+"/hints")...)
			early, final := strings.Index(out, ":status: 103"), strings.Index(out, ":status: 200")
			if early < 0 || final < early {
				t.Fatalf("no 103 before the 200:\n%s", clip(out))
			}
			wantContains(t, "the 103", out[early:final], "link: "+earlyLink)
		})
	}
}

// nghttp -v prints promises and what is pushed; with -a, or without --no-push, it takes them.
func TestNghttpPush(t *testing.T) {
	for _, m := range nghttpModes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			out := runNghttp(t, append(m.flags, "-v", "-n", ls.URL+"/push?asset=/some")...)
			wantContains(t, "nghttp -v", out, "recv PUSH_PROMISE frame", "promised_stream_id=2", ":path: /some",
				"recv (stream_id=2) :status: 200", fmt.Sprintf("content-length: %d", len(helloBody)))
			promise, page := strings.Index(out, "recv PUSH_PROMISE frame"), strings.Index(out, "recv DATA frame")
			if promise > page {
				t.Errorf("the promise came after the page:\n%s", clip(out))
			}
			got := runNghttp(t, append(m.flags, ls.URL+"/push?asset=/some")...)
			if len(got) != len(helloBody)+someSize || !strings.Contains(got, helloBody) {
				t.Errorf("%d octets, want the page and what is pushed, %d", len(got), len(helloBody)+someSize)
			}
			out = runNghttp(t, append(m.flags, "-v", "--no-push", ls.URL+"/push?asset=/some")...)
			wantContains(t, "nghttp -v --no-push", out, "[SETTINGS_ENABLE_PUSH(0x02):0]", ":status: 500")
			if strings.Contains(out, "PUSH_PROMISE") {
				t.Errorf("a promise for a client that takes none:\n%s", clip(out))
			}
		})
	}
}

// What the middleware makes of Link fields: pushes where they are taken, else 103.
func TestNghttpPreload(t *testing.T) {
	for _, m := range nghttpModes {
		t.Run(m.name, func(t *testing.T) {
			ls := startServer(t, m.secure, testHandler())
			out := runNghttp(t, append(m.flags, "-v", "-n", ls.URL+"/preload")...)
			wantContains(t, "nghttp -v", out, "promised_stream_id=2", ":path: /some", "promised_stream_id=4", ":path: /proto",
				"recv (stream_id=2) :status: 200", "recv (stream_id=4) :status: 200")
			if strings.Contains(out, ":status: 103") {
				t.Errorf("103 though all is pushed:\n%s", clip(out))
			}
			out = runNghttp(t, append(m.flags, "-v", "-n", "--no-push", ls.URL+"/preload")...)
			wantContains(t, "nghttp -v --no-push", out, ":status: 103", "link: </some>; rel=preload; as=image", ":status: 200")
			if strings.Contains(out, "PUSH_PROMISE") {
				t.Errorf("a promise for a client that takes none:\n%s", clip(out))
			}
		})
	}
}
