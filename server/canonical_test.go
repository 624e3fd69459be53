package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestCommonNamesInTable(t *testing.T) {
	for _, s := range commonNames {
		if n := nameByLower(s); n.lower != s || n.canon != http.CanonicalHeaderKey(s) || n.meaning != meansNothing {
			t.Errorf("nameByLower(%q) = %+v", s, n)
		}
		if n := nameByKey(http.CanonicalHeaderKey(s)); n == nil || n.lower != s {
			t.Errorf("nameByKey of %q = %+v", s, n)
		}
	}
	for s, m := range namesWithMeaning {
		if n := nameByKey(strings.ToUpper(s)); n == nil || n.lower != s || n.meaning != m {
			t.Errorf("nameByKey of %q in capitals = %+v", s, n)
		}
	}
}

func TestNameTableProbesAreShort(t *testing.T) {
	run, longest := 0, 0
	for i := range 2 * nameSlots {
		if nameTable[i%nameSlots] == nil {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	if longest > 12 {
		t.Errorf("longest run of full slots is %d: choose another hash", longest)
	}
}

func TestNamesOutsideTheTable(t *testing.T) {
	for _, c := range []struct{ key, lower string }{
		{"X-Custom", "x-custom"},
		{"x-CUSTOM", "x-custom"},
		{"X_under", "x_under"},
		{"1", "1"},
		{"", ""},
		{"Trailer:Foo", ""},
		{":status", ""},
		{"With Space", ""},
		{"N\u00e4me", ""},
		{"X-\u212aelvin", ""}, // lower-cases to ASCII k
		{"a\r\nb", ""},
	} {
		for range 2 { // the second time may find a learned name
			n := nameByKey(c.key)
			switch {
			case n == nil && c.lower != "":
				t.Errorf("nameByKey(%q) = nil", c.key)
			case n != nil && n.lower != c.lower:
				t.Errorf("nameByKey(%q) = %+v, want %q", c.key, n, c.lower)
			}
		}
	}
	if n := nameByLower("x-other-custom"); n.canon != "X-Other-Custom" {
		t.Errorf("%+v", n)
	}
}

func TestLearnedNamesDoNotGrow(t *testing.T) {
	long := strings.Repeat("x", maxLearnedName+1)
	if n := nameByLower(long); n.canon != "X"+long[1:] {
		t.Errorf("long name: %q", n.canon)
	}
	for i := range learned {
		if n := learned[i].Load(); n != nil && len(n.lower) > maxLearnedName {
			t.Errorf("remembers a name of %d octets", len(n.lower))
		}
	}
	for i := range 10_000 {
		s := fmt.Sprintf("x-%d", i)
		if n := nameByLower(s); n.lower != s {
			t.Fatalf("nameByLower(%q) = %+v", s, n)
		}
	}
}

func TestKnownNamesDoNotAllocate(t *testing.T) {
	nameByLower("x-learned-name")
	if n := testing.AllocsPerRun(100, func() {
		nameByLower("content-type")
		nameByKey("Content-Type")
		nameByLower("x-learned-name")
		nameByKey("X-Learned-Name")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNameByLower(b *testing.B) {
	for b.Loop() {
		nameByLower("accept-encoding")
	}
}
