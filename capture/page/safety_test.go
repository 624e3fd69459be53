package page

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// The policy of a page allows its script and its style, as they stand in it, and nothing else.
func TestPolicy(t *testing.T) {
	var b bytes.Buffer
	if err := NewWriter(&b, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	element := func(open, end string) string {
		_, rest, found := strings.Cut(page, open)
		content, _, complete := strings.Cut(rest, end)
		if !found || !complete {
			t.Fatalf("the page has no %s", open)
		}
		return content
	}
	policy := element(`http-equiv="Content-Security-Policy" content="`, `"`)
	want := "default-src 'none'; script-src " + hashOf(element("<script>", "</script>")) + "; style-src " +
		hashOf(element("<style>", "</style>")) + "; img-src data:; connect-src 'none'; base-uri 'none'; form-action 'none'"
	if policy != want {
		t.Errorf("policy %s\nwant   %s", policy, want)
	}
	if live := string(NewServer(ServerOptions{Token: "x"}).page); !strings.Contains(live, "connect-src 'self'") {
		t.Error("the page of a Server may not request its events")
	}
}

// No part of the page makes HTML or script of a text, or requests anything but its events.
func TestAssets(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|` +
		`setTimeout\(['"]|fetch\(|XMLHttpRequest|WebSocket|@import|url\(|srcdoc|javascript:|\bon[a-z]+="`)
	address := regexp.MustCompile(`https?://[^'"]*`)
	err := fs.WalkDir(assets, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(assets, path)
		if bad := forbidden.Find(text); bad != nil {
			t.Errorf("%s has %q", path, bad)
		}
		for _, a := range address.FindAllString(string(text), -1) {
			if a != "https://www.rfc-editor.org/rfc/rfc" {
				t.Errorf("%s has the address %s", path, a)
			}
		}
		if n := bytes.Count(text, []byte("\n")); n > 400 {
			t.Errorf("%s has %d lines, want at most 400", path, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever frames and texts come, the events of a page are lines of JSON that cannot end their
// element.
func FuzzWriter(f *testing.F) {
	f.Add([]byte{0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1}, "</script>", "\u2028\xff", uint8(1))
	f.Add(frame.GoAway{DebugData: []byte("<!--")}.Append(nil), "__proto__", "<", uint8(2))
	f.Add(frame.AppendSettings(nil, frame.Setting{ID: 99, Value: 1 << 31}), "a", "", uint8(0xff))
	f.Add(frame.NewOrigin("https://<b>").Append(nil), "", "\\", uint8(7))
	f.Fuzz(func(t *testing.T, octets []byte, name, value string, bits uint8) {
		var b bytes.Buffer
		w := NewWriter(&b, Options{Title: name})
		if h, payload, n, _ := frame.Split(octets, frame.MaxMaxFrameSize); n > 0 {
			ev := &capture.Frame{Conn: 1, Number: 1, Header: h, Dir: capture.Dir(bits & 1), Trailer: bits&2 != 0}
			ev.Parsed, ev.Err = frame.Parse(h, payload)
			ev.Fields = []capture.Field{{Name: name, Value: value, State: capture.State(bits / 8 % 3)}}
			w.Handle(ev)
		}
		w.Handle(&capture.Message{Conn: 1, Line: value, Problems: []string{name}})
		w.Handle(&capture.Connection{ID: 1, Protocol: capture.Protocol(name), Problem: value})
		w.Handle(&capture.Finding{Conn: 1, Text: value, Section: name})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(b.String()[strings.Index(b.String(), `id="events">`)+13:], "\n") {
			if strings.HasPrefix(line, "</script>") {
				break
			}
			if !json.Valid([]byte(line)) || strings.ContainsAny(line, "<>&\u2028\u2029\r") {
				t.Errorf("%q", line)
			}
		}
		if n := strings.Count(b.String(), "</script>"); n != 4 {
			t.Errorf("%d ends of script elements, want 4", n)
		}
	})
}

// An event costs the writer no memory that stays, and little time.
func BenchmarkWriter(b *testing.B) {
	w := NewWriter(io.Discard, Options{MaxFrames: 1 << 30, MaxOctets: 1 << 60})
	ev := &capture.Frame{
		Conn: 1, Number: 1, Time: t0, First: t0, Dir: capture.Server,
		Header: frame.Header{Type: frame.TypeData, StreamID: 5, Length: 16384}, Parsed: frame.Data{StreamID: 5},
		DataLen: 16384,
		Window:  capture.Windows{Stream: 1 << 20, Conn: 1 << 20, StreamKnown: true, ConnKnown: true},
	}
	b.ReportAllocs()
	for b.Loop() {
		w.Handle(ev)
	}
}
