package inspect

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzRun shows captures that are damaged in any way: the command ends with an exit status, and
// what it prints can do no more to a terminal than be shown.
func FuzzRun(f *testing.F) {
	example, err := os.ReadFile("../../testdata/example.pcapng")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example, uint8(0))
	f.Add(example[:len(example)/2], uint8(1))
	f.Add(bytes.ReplaceAll(example, []byte("/download"), []byte("/\x1b[2J\x9b\xff")), uint8(2))
	f.Fuzz(func(t *testing.T, file []byte, output uint8) {
		var out, errOut bytes.Buffer
		o := Options{
			Files: []string{"-"}, In: bytes.NewReader(file), Out: &out, Err: &errOut, ShowSecrets: true,
			Getenv: func(string) string { return "" },
		}
		switch output % 4 {
		case 1:
			o.JSON, o.Bodies = true, true
		case 2:
			o.As, o.Bodies = "http1", true
		case 3:
			o.Requests = true
		}
		err := Run(t.Context(), o)
		var status *StatusError
		if err != nil && !errors.As(err, &status) {
			t.Errorf("the error has no exit status: %v", err)
		}
		for _, text := range []string{out.String(), errOut.String()} {
			unsafe := func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
			if i := strings.IndexFunc(text, unsafe); i >= 0 || !utf8.ValidString(text) {
				t.Errorf("the output is not safe to show: %q", text[max(0, i-20):min(len(text), i+20)])
			}
		}
	})
}

// FuzzEscape checks that text of a peer is only shown, whatever it is.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"plain", "\x1b[31m\x07\x7f", "\xff\xc2", "\u202eü€😀\U000e0001", "\\x1b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := escaped(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q becomes %q", s, got)
		}
		if plain := strings.ToValidUTF8(s, "\x00"); plain == s && !strings.ContainsFunc(s, func(r rune) bool {
			return !unicode.IsPrint(r)
		}) && got != s {
			t.Errorf("%q, which is safe, becomes %q", s, got)
		}
		if string(appendEscaped(nil, []byte(s))) != got {
			t.Errorf("%q: octets become something else", s)
		}
	})
}
