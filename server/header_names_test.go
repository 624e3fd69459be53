package server

import (
	"net/http"
	"strings"
	"testing"
)

// The names of the last header section are but a guess.
func TestNamesOfHeaderSections(t *testing.T) {
	var names headerNames
	long := "x-" + strings.Repeat("long", 100)
	for range 3 {
		for _, section := range [][]string{
			{"accept", "x-own", long, "accept"},
			{"x-own", "accept"},
			{"accept", "x-other", "te", long},
			{"accept", "x-other", "te", long},
		} {
			for i, s := range section {
				for _, place := range []int{i, len(names) - 1 + i} {
					if n := names.byLower(place, s); n.Lower != s || n.Canon != http.CanonicalHeaderKey(s) {
						t.Errorf("place %d, %q: %+v", place, s, n)
					}
				}
			}
		}
	}
	for _, n := range names {
		if n != nil && len(n.Lower) > maxKeptName {
			t.Errorf("a name of %d octets is kept", len(n.Lower))
		}
	}
}
