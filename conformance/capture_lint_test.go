package conformance

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sluice-go/sluice/capture"
)

// foundIn reads a capture, and returns its findings and gaps.
func foundIn(t *testing.T, file, keys []byte) (findings []capture.Finding, gaps []capture.Gap) {
	t.Helper()
	_, err := capture.Read(bytes.NewReader(file), capture.Options{KeyLog: keys}, func(e capture.Event) {
		switch e := e.(type) {
		case *capture.Finding:
			findings = append(findings, *e)
		case *capture.Gap:
			gaps = append(gaps, *e)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return findings, gaps
}

// faults are the errors in exchanges that have some on purpose.
var faults = map[string][]string{"every frame": {"field-invalid", "frame-on-wrong-stream"}}

// Honest traffic breaks no rule, however it was captured. Where a segment is missing, that is the
// one finding.
func TestCaptureLint(t *testing.T) {
	for _, tt := range captureCases {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.take(t)
			packets := packetsOf(t, c.file)
			for name, p := range map[string][]capturedPacket{
				"as it is": packets, "shuffled": shuffled(packets, 1), "doubled": doubled(packets),
			} {
				findings, _ := foundIn(t, pcapOf(t, p), c.keyLog)
				if got, want := errorsOf(findings), faults[tt.name]; !slices.Equal(got, want) {
					t.Errorf("%s: errors %q, want %q", name, got, want)
				}
			}
			for _, third := range []int{1, 2} {
				findings, _ := foundIn(t, pcapOf(t, packets[len(packets)*third/3:]), c.keyLog)
				for _, rule := range errorsOf(findings) {
					if rule != "octets-missing" && !slices.Contains(faults[tt.name], rule) {
						t.Errorf("without its start: %s", rule)
					}
				}
			}
			lintWithoutEach(t, c, packets, faults[tt.name])
		})
	}
}

// errorsOf returns the rules that are broken.
func errorsOf(findings []capture.Finding) (list []string) {
	for _, f := range findings {
		if f.Severity == capture.Error {
			list = append(list, f.Rule)
		}
	}
	return list
}

// lintWithoutEach leaves out one segment with octets after another.
func lintWithoutEach(t *testing.T, c captured, packets []capturedPacket, faults []string) {
	t.Helper()
	for i := range packets {
		if len(tcpOf(packets[i].data).Payload) == 0 {
			continue
		}
		findings, gaps := foundIn(t, pcapOf(t, without(packets, i)), c.keyLog)
		var lost, told []string
		for _, f := range findings {
			switch {
			case f.Rule == "octets-missing":
				lost = append(lost, f.Text)
			case f.Severity == capture.Error && !slices.Contains(faults, f.Rule):
				t.Errorf("without packet %d: %s %v %d: %s", i+1, f.Rule, f.Dir, f.Stream, f.Text)
			}
		}
		for _, g := range gaps {
			if g.Reason != "start" && g.Reason != "undecrypted" {
				told = append(told, g.Text)
			}
		}
		if !slices.Equal(lost, told) {
			t.Errorf("without packet %d: gaps %q, findings %q", i+1, told, lost)
		}
		if t.Failed() {
			return
		}
	}
}

// busyCases are longer exchanges, which are checked as they are.
var busyCases = []struct {
	name string
	make func(*testing.T) captured
}{
	{"curl with an Upgrade", ofOurServer(false, testHandler, withCurl("/hello", "--http2"))},
	{"curl with HEAD", ofOurServer(true, testHandler, withCurl("/some /big", "--http2", "--head"))},
	{"curl downloads", ofOurServer(true, testHandler, withCurl("/big /trailers /big", "--http2", "--compressed"))},
	{"curl uploads", ofOurServer(true, testHandler, func(t *testing.T, ls *liveServer) {
		withCurl("/upload", "--http2", "-T", bigFile(t))(t, ls)
	})},
	{"nghttp uploads", ofOurServer(false, testHandler, func(t *testing.T, ls *liveServer) {
		withNghttp("/upload /hello", "-d", bigFile(t), "-w", "20")(t, ls)
	})},
	{"h2load", ofOurServer(false, testHandler, func(t *testing.T, ls *liveServer) {
		mustRunPeer(t, requirePeer(t, "h2load"), "-n", "1000", "-c", "4", "-m", "50", ls.URL+"/hello")
	})},
	{"node with many requests", ofOurServer(true, testHandler, withNode("concurrent"))},
	{"nghttpd", ofForeignServer(false, startNghttpd, "/big", "/push", "/missing")},
	{"net/http", ofForeignServer(true, startNetHTTP, "/big", "/trailers", "/hints", "/some")},
	{"nginx", ofForeignServer(true, startNginx, "/big", "/hello", "/trailers")},
	{"h2o", ofForeignServer(true, startH2O, "/big", "/hello", "/trailers")},
	{"caddy", ofForeignServer(true, startCaddy, "/big", "/hello", "/trailers")},
	{"a server in node", ofForeignServer(false, startNode, "/big", "/push", "/trailers", "/hints")},
}

func TestCaptureLintBusy(t *testing.T) {
	for _, tt := range busyCases {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.make(t)
			findings, gaps := foundIn(t, c.file, c.keyLog)
			for _, f := range findings {
				t.Logf("%v %s %v %d %d: %s", f.Severity, f.Rule, f.Dir, f.Stream, f.Frame, f.Text)
			}
			if list := errorsOf(findings); len(list) > 0 || len(gaps) > 0 {
				t.Errorf("errors %q, and %d gaps", list, len(gaps))
			}
		})
	}
}
