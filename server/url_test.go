package server

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var urlSeeds = []string{
	"/", "/a/b.html", "//host/path", "/a?b=c&d=e", "/a?", "/a??", "/a?b?c", "/a%20b", "/a b", "/%zz", "/%", "*", "",
	"/a#b", "/a?q#f", "/\x00", "/a?\x7f", "/a?\n", "/\u00e9", "/a?\u00e9", "http://h/p", "a/b", "/;=,:@!$&'()+~", "/[x]",
	"/a?%zz", "/\"<>\\^`{|}", "/:80", "/a?\xff\x1f",
}

func checkParsePath(t *testing.T, path string) {
	t.Helper()
	want, wantErr := url.ParseRequestURI(path)
	var got url.URL
	err := parsePath(&got, path)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: error %v, url.ParseRequestURI says %v", path, err, wantErr)
	}
	if err != nil {
		return
	}
	if d := cmp.Diff(*want, got, cmp.AllowUnexported(url.Userinfo{})); d != "" {
		t.Errorf("%q (-url.ParseRequestURI +parsePath):\n%s", path, d)
	}
}

func TestParsePath(t *testing.T) {
	for _, s := range urlSeeds {
		checkParsePath(t, s)
	}
	for c := range 256 { // every octet, in the path and in the query
		checkParsePath(t, "/a"+string([]byte{byte(c)})+"b")
		checkParsePath(t, "/a?b"+string([]byte{byte(c)}))
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range urlSeeds {
		f.Add(s)
	}
	f.Fuzz(checkParsePath)
}

func TestPlainPathDoesNotAllocate(t *testing.T) {
	var u url.URL
	if n := testing.AllocsPerRun(100, func() {
		u = url.URL{}
		if err := parsePath(&u, "/search/items.json?q=x&n=20"); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
