package server

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The grammar of RFC 8288 §3, and what its Appendix B.2 makes of what does not follow it.
func TestParseLinks(t *testing.T) {
	tests := []struct{ value, want string }{
		{`</a>; rel=preload`, "/a"},
		{`</a>;rel=preload`, "/a"},
		{`</a> ; rel = "preload" ; as=style`, "/a"},
		{`</a>; as=style; REL="Preload"`, "/a"},
		{`</a>; rel="prefetch preload"`, "/a"},
		{`</a>; rel=preload, </b>; rel=preload; as=font; crossorigin,</c>;rel=preload`, "/a /b /c"},
		{`, ,</a>; rel=preload,, </b>; rel=preload`, "/a /b"},
		{`</a>; rel=preload; nopush`, "/a!"},
		{`</a>; nopush; rel=preload, </b>; rel=preload`, "/a! /b"},
		{`</a>; rel=preload; title="a, b; c \" <d>", </b>; rel=preload`, "/a /b"},
		{`</a,b;c>; rel=preload`, "/a,b;c"},
		{`</a>; rel=prefetch; rel=preload`, ""}, // the first counts
		{`</a>; rel=preload; anchor="/x"`, ""},
		{`</a>; rel=next`, ""},
		{`</a>; rel=preloads`, ""},
		{`</a>; title=preload`, ""},
		{`</a>`, ""},
		{`<>; rel=preload`, "="},
		{`</a>; rel="preload`, "/a"},
		{`</a>; rel="preload\`, "/a"},
		{`</a>; rel=preload; =; ;`, "/a"},
		{`</a rel=preload`, ""},
		{`/a; rel=preload`, ""},
		{`</a>; rel=preload x, </b>; rel=preload`, "/a /b"}, // Appendix B.3 takes all up to the next separator
		{`</a> x; rel=preload, </b>; rel=preload`, ""},
		{``, ""},
		{`,`, ""},
	}
	for _, tt := range tests {
		got := ""
		for l := range parseLinks(tt.value) {
			if !l.preloads() {
				continue
			}
			if got != "" {
				got += " "
			}
			if got += l.target; l.nopush {
				got += "!"
			}
			if l.target == "" {
				got += "="
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.value, d)
		}
	}
	for range parseLinks(`</a>, </b>`) {
		break // the caller may stop
	}
}

func FuzzParseLinks(f *testing.F) {
	f.Add(`</a>; rel="pre\"load"; nopush, <b>;x`)
	f.Fuzz(func(t *testing.T, v string) {
		octets := 0
		for l := range parseLinks(v) {
			octets += len(l.target) + len(l.rel) + 2
		}
		if octets > len(v) {
			t.Errorf("%d octets of %d", octets, len(v))
		}
	})
}
