package header

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-go/sluice/internal/syntax"
)

func TestKnownNamesInBothSpellings(t *testing.T) {
	for _, want := range knownNames() {
		canon := http.CanonicalHeaderKey(want.Lower)
		if n := ByLower(want.Lower); *n != want {
			t.Errorf("ByLower(%q) = %+v", want.Lower, n)
		}
		if want.Lower[0] == ':' {
			if n := ByKey(want.Lower); n != nil || want.Canon != "" {
				t.Errorf("ByKey of %q = %+v", want.Lower, n)
			}
			continue
		}
		if n := ByKey(canon); n == nil || *n != want || n.Canon != canon {
			t.Errorf("ByKey of %q = %+v", canon, n)
		}
		if n := ByKey(strings.ToUpper(want.Lower)); n == nil || *n != want {
			t.Errorf("ByKey of %q in capitals = %+v", want.Lower, n)
		}
	}
}

// The form of keys is that of net/http, whatever the token.
func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"x-custom", "X--a-", "-1a-Bc", "~x-ETag", "www-authenticate"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if want := http.CanonicalHeaderKey(s); syntax.ValidToken(s) && canonical(s) != want {
			t.Errorf("canonical(%q) = %q, want %q", s, canonical(s), want)
		}
	})
}

func TestNameTableProbesAreShort(t *testing.T) {
	run, longest := 0, 0
	for i := range 2 * nameSlots {
		if nameTable[i%nameSlots].Lower == "" {
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
		for range 2 { // the second time may find a cached name
			n := ByKey(c.key)
			switch {
			case n == nil && c.lower != "":
				t.Errorf("ByKey(%q) = nil", c.key)
			case n != nil && n.Lower != c.lower:
				t.Errorf("ByKey(%q) = %+v, want %q", c.key, n, c.lower)
			}
		}
	}
	if n := ByLower("x-other-custom"); n.Canon != "X-Other-Custom" {
		t.Errorf("%+v", n)
	}
}

func TestNameCacheDoesNotGrow(t *testing.T) {
	long := strings.Repeat("x", maxCachedName+1)
	if n := ByLower(long); n.Canon != "X"+long[1:] {
		t.Errorf("long name: %q", n.Canon)
	}
	set := namesByLower.set(long)
	for i := range set {
		if n := set[i].Load(); n != nil && n.Lower == long {
			t.Errorf("keeps a name of %d octets", len(n.Lower))
		}
	}
	for i := range 10_000 {
		s := fmt.Sprintf("x-%d", i)
		if n := ByLower(s); n.Lower != s {
			t.Fatalf("ByLower(%q) = %+v", s, n)
		}
	}
}

// The names that one program uses have their places, however alike they are.
func TestCachedNamesStay(t *testing.T) {
	var lower, keys [20]string
	for i := range lower {
		lower[i] = fmt.Sprintf("x-learned-%02d", i)
		keys[i] = fmt.Sprintf("X-Learned-%02d", i)
	}
	look := func() {
		for i := range lower {
			ByLower(lower[i])
			ByKey(keys[i])
		}
	}
	look()
	if n := testing.AllocsPerRun(10, look); n > 15 { // three for each that has no place; the seed of the hash is random
		t.Errorf("%v allocations for %d names", n, len(lower)+len(keys))
	}
}

func TestKnownNamesDoNotAllocate(t *testing.T) {
	ByLower("x-learned-name")
	if n := testing.AllocsPerRun(100, func() {
		ByLower("content-type")
		ByKey("Content-Type")
		ByLower("x-learned-name")
		ByKey("X-Learned-Name")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNameByLower(b *testing.B) {
	for b.Loop() {
		ByLower("accept-encoding")
	}
}
