package httpfield

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestCommonNamesInTable(t *testing.T) {
	for _, s := range commonNames {
		if n := ByLower(s); n.Lower != s || n.Canon != http.CanonicalHeaderKey(s) || n.Meaning != Plain {
			t.Errorf("ByLower(%q) = %+v", s, n)
		}
		if n := ByKey(http.CanonicalHeaderKey(s)); n == nil || n.Lower != s {
			t.Errorf("ByKey of %q = %+v", s, n)
		}
	}
	for s, m := range namesWithMeaning {
		if n := ByKey(strings.ToUpper(s)); n == nil || n.Lower != s || n.Meaning != m {
			t.Errorf("ByKey of %q in capitals = %+v", s, n)
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

func TestLearnedNamesDoNotGrow(t *testing.T) {
	long := strings.Repeat("x", maxLearnedName+1)
	if n := ByLower(long); n.Canon != "X"+long[1:] {
		t.Errorf("long name: %q", n.Canon)
	}
	set := learnedByLower.set(long)
	for i := range set {
		if n := set[i].Load(); n != nil && n.Lower == long {
			t.Errorf("remembers a name of %d octets", len(n.Lower))
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
func TestLearnedNamesStay(t *testing.T) {
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

// The names of the last header section are but a guess.
func TestNamesOfHeaderSections(t *testing.T) {
	var names Names
	long := "x-" + strings.Repeat("long", 100)
	for range 3 {
		for _, section := range [][]string{
			{"accept", "x-own", long, "accept"}, {"x-own", "accept"}, {"accept", "x-other", "te", long}, {"accept", "x-other", "te", long},
		} {
			for i, s := range section {
				for _, place := range []int{i, len(names) - 1 + i} {
					if n := names.ByLower(place, s); n.Lower != s || n.Canon != http.CanonicalHeaderKey(s) {
						t.Errorf("place %d, %q: %+v", place, s, n)
					}
				}
			}
		}
	}
	for _, n := range names {
		if n != nil && len(n.Lower) > maxLearnedName {
			t.Errorf("a name of %d octets is kept", len(n.Lower))
		}
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
