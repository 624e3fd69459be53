package server

import (
	"bytes"
	"net/http"
	"testing"
)

var sniffSeeds = []string{
	"", " ", "Hello, world!", "{\"a\": 1}", "  <html>", "<p>", "<?xml ?>", "%PDF-1.4", "%!PS-Adobe-",
	"\xfe\xff\x00a", "\xff\xfea\x00", "\xef\xbb\xbfx", "\x00\x00\x01\x00", "BM", "GIF89a",
	"RIFF0000WEBPVP", "\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "FORM0000AIFF", "ID3", "OggS\x00",
	"MThd\x00\x00\x00\x06", "RIFF0000AVI ", "RIFF0000WAVE", "\x00\x00\x00\x14ftypmp42\x00\x00\x00\x00mp4a",
	"    ftypmp42", "\x1a\x45\xdf\xa3", "0123456789012345678901234567890123LP", "\x00\x01\x00\x00", "OTTO",
	"ttcf", "wOFF", "wOF2", "\x1f\x8b\x08", "PK\x03\x04", "Rar!\x1a\x07\x00", "\x00asm", "text\x01",
	"text\x1b[0m", "\v", "\vtext", "\xf0\x9f\x98\x80",
}

func checkDetect(t *testing.T, p []byte) {
	t.Helper()
	if got, want := detectContentType(p), http.DetectContentType(p); got != want {
		t.Errorf("%q: %s, want %s", p, got, want)
	}
}

func TestDetectContentType(t *testing.T) {
	for _, s := range sniffSeeds {
		checkDetect(t, []byte(s))
		checkDetect(t, []byte("\n"+s))
	}
	for c := range 256 {
		checkDetect(t, []byte{byte(c)})
		checkDetect(t, append([]byte{byte(c)}, "some text"...))
	}
	long := bytes.Repeat([]byte("x"), sniffLen)
	checkDetect(t, append(long, 0)) // the binary octet is out of sight
	long[sniffLen-1] = 0
	checkDetect(t, long)
}

func FuzzDetectContentType(f *testing.F) {
	for _, s := range sniffSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(checkDetect)
}

func BenchmarkDetectContentType(b *testing.B) {
	p := []byte("Hello, world!")
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			detectContentType(p)
		}
	})
	b.Run("net-http", func(b *testing.B) {
		for b.Loop() {
			http.DetectContentType(p)
		}
	})
}
