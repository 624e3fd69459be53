package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/capture"
)

// Texts get into JSON that a script element cannot be ended in, and that says what cannot be seen.
func TestEncoderString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", `"plain"`},
		{`"quoted" \ back`, `"\"quoted\" \\ back"`},
		{"</script><!--&", `"\u003c/script\u003e\u003c!--\u0026"`},
		{"a\u2028b\u2029c", `"a\\u{2028}b\\u{2029}c"`},
		{"\u202egnp.exe", `"\\u{202e}gnp.exe"`},
		{"\x00\n\x7f", `"\\x00\\x0a\\x7f"`},
		{"gr\u00fc\u00df \xff\xc3", `"grüß \\xff\\xc3"`},
		{strings.Repeat("x", maxText+1), `"` + strings.Repeat("x", maxText) + `… (of 4097 octets)"`},
	} {
		var e encoder
		e.string(c.in)
		if got := string(e.b); got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
		if !json.Valid(e.b) {
			t.Errorf("%q: %s is no JSON", c.in, e.b)
		}
	}
}

// Whatever stands in a text, the JSON is valid and cannot end its element.
func FuzzEncoderString(f *testing.F) {
	f.Add("</script>\u2028\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		var e encoder
		e.string(s)
		if !json.Valid(e.b) || bytes.ContainsAny(e.b, "<>&\u2028\u2029\n") {
			t.Errorf("%q: %s", s, e.b)
		}
	})
}

// eventsOf is the lines of events in a page.
func eventsOf(t *testing.T, page string) []string {
	t.Helper()
	_, events, found := strings.Cut(page, `id="events">`)
	events, _, complete := strings.Cut(events, "</script>")
	if !found || !complete {
		t.Fatalf("a page without events: %s", page)
	}
	return strings.Fields(events)
}

// What is above a bound is counted, and not in the page.
func TestWriterBounds(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Options{MaxFrames: 2, MaxOthers: 3})
	for n := range int64(5) {
		w.Handle(gapEvent(n))
		w.Handle(&capture.Frame{Conn: 1, Number: uint64(n), Time: t0})
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(eventsOf(t, b.String())); n != 5 {
		t.Errorf("%d events, want 3 gaps and 2 frames", n)
	}
	if want := `"counts":{"frame":[5,2],"gap":[5,3]}`; !strings.Contains(b.String(), want) {
		t.Errorf("the page lacks %s", want)
	}
	b.Reset()
	w = NewWriter(&b, Options{MaxOctets: 100})
	for n := range int64(100) {
		w.Handle(gapEvent(n))
	}
	w.Close()
	if n := len(strings.Join(eventsOf(t, b.String()), "")); n == 0 || n > 100 {
		t.Errorf("%d octets of events, want at most 100", n)
	}
}
