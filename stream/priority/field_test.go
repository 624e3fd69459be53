package priority

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	normal := ext(3, false)
	for _, test := range []struct {
		value string
		want  Params
	}{
		// RFC 9218 §4.
		{"", normal},
		{"   ", normal},
		{"u=0", ext(0, false)},
		{"u=5, i", ext(5, true)},
		{"i", ext(3, true)},
		{"i=?1", ext(3, true)},
		{"i=?0,u=7", ext(7, false)},
		{" u=2 \t,\t i  ", ext(2, true)},
		// What is out of range, of another type or unknown is ignored.
		{"u=8", normal},
		{"u=-1", normal},
		{"u=-0", ext(0, false)},
		{"u=007", ext(7, false)},
		{"u=999999999999999", normal},
		{"u=1.0, i", ext(3, true)},
		{`u="1", i=1`, normal},
		{"u=:MQ==:, i=?1", ext(3, true)},
		{"u=one, i=*", normal},
		{"u, i=yes", normal},
		{"u=?1", normal},
		{"u=(1 2), i=(?1)", normal},
		{"U=1", Params{}},
		{"visible, u=1, a.b-c_d*=7, *x=?0", ext(1, false)},
		{`x="a, u=7\"\\", u=2`, ext(2, false)},
		{`x=("a" 1.5;p=2 tok/en:x;q :YQ==:);r="s"; t, u=2`, ext(2, false)},
		{"x=(), u=2", ext(2, false)},
		{"x=(  1   2  ), u=2", ext(2, false)},
		// Parameters are ignored.
		{"u=1;u=2; i;foo=bar, i;x=?0", ext(1, true)},
		// The last one counts.
		{"u=1, u=6", ext(6, false)},
		{"u=1, i, u=9", ext(3, true)},
		{"i, i=?0", normal},
		{"i=?0, i", ext(3, true)},
		// No dictionaries.
		{",", Params{}},
		{"u=1,", Params{}},
		{"u=1, ,i", Params{}},
		{"u=1 i", Params{}},
		{"u=1;", Params{}},
		{"u=1;X", Params{}},
		{"u=1;x=", Params{}},
		{"u=", Params{}},
		{"u= 1", Params{}},
		{"u =1", Params{}},
		{"\tu=1", Params{}},
		{"=1", Params{}},
		{"1", Params{}},
		{"u=-", Params{}},
		{"u=1.", Params{}},
		{"u=1.2345", Params{}},
		{"u=1234567890123.1", Params{}},
		{"u=1234567890123456", Params{}},
		{"u=1.2.3", Params{}},
		{"i=?", Params{}},
		{"i=?2", Params{}},
		{"i=?1x", Params{}},
		{`x="`, Params{}},
		{`x="\`, Params{}},
		{`x="\a"`, Params{}},
		{"x=\"\x7f\"", Params{}},
		{"x=\"ü\"", Params{}},
		{"x=:YQ==", Params{}},
		{"x=:Y!:", Params{}},
		{"x=(1", Params{}},
		{"x=(1,2)", Params{}},
		{"x=(1)2", Params{}},
		{"x=(1;)", Params{}},
		{"x=(1\"a\")", Params{}},
		{"x=@1", Params{}},
		{"u=1\x00", Params{}},
		{"ü=1", Params{}},
	} {
		got, ok := Parse(test.value)
		if ok != test.want.Extensible || got != test.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", test.value, got, ok, test.want)
		}
	}
}

// RFC 9218 §8.
func TestMerge(t *testing.T) {
	client := ext(5, true)
	for _, test := range []struct {
		value string
		want  Params
		ok    bool
	}{
		{"u=1", ext(1, true), true},
		{"i=?0", ext(5, false), true},
		{"i=?0, u=7", ext(7, false), true},
		{"u=8, i=maybe", client, true},
		{"u=2, u=8", client, true},
		{"", client, true},
		{"u=1,", client, false},
	} {
		if got, ok := client.Merge(test.value); got != test.want || ok != test.ok {
			t.Errorf("Merge(%q) = %+v, %v; want %+v, %v", test.value, got, ok, test.want, test.ok)
		}
	}
	tree := Params{Tree: true, DependsOn: 3, Weight: 9}
	if got, ok := tree.Merge("i"); got != ext(3, true) || !ok {
		t.Errorf("a stream of the tree: %+v, %v", got, ok)
	}
	if got, ok := tree.Merge("?"); got != tree || ok {
		t.Errorf("a stream of the tree, no dictionary: %+v, %v", got, ok)
	}
}

func TestField(t *testing.T) {
	for u := range uint8(MaxUrgency + 1) {
		for _, i := range []bool{false, true} {
			p := ext(u, i)
			if got, ok := Parse(p.Field()); !ok || got != p {
				t.Errorf("%+v is %q, which is %+v, %v", p, p.Field(), got, ok)
			}
		}
	}
	if got := ext(9, true).Field(); got != "u=7, i" {
		t.Errorf("an impossible urgency is %q", got)
	}
	if got := (Params{Urgency: 1, Tree: true}).Field(); got != "" {
		t.Errorf("nothing was stated, and the field is %q", got)
	}
}

func TestFieldAllocations(t *testing.T) {
	value := `x="a, u=7\"\\", p=("b"), u=2;q, i=?1`
	if allocs := testing.AllocsPerRun(100, func() {
		if p, ok := Parse(value); !ok || p.Field() != "u=2, i" {
			t.Fatal(p, ok)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

// FuzzParse: what is parsed can be written and parsed again, and other members around a value do
// not change what it says.
func FuzzParse(f *testing.F) {
	for _, v := range []string{"", "u=5, i", "u=1;x=(1 2), i=?0", `a="\"", b=:YQ==:, c=1.5, d=t/x`, "u=1,"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		p, ok := Parse(v)
		if !ok {
			if p != (Params{}) {
				t.Fatalf("Parse(%q) = %+v, false", v, p)
			}
			return
		}
		if !p.Extensible || p.Urgency > MaxUrgency {
			t.Fatalf("Parse(%q) = %+v", v, p)
		}
		if again, ok := Parse(p.Field()); !ok || again != p {
			t.Fatalf("%q is written as %q, which is %+v, %v", v, p.Field(), again, ok)
		}
		if padded, ok := Parse("  " + v + "  "); !ok || padded != p {
			t.Fatalf("with spaces around %q is %+v, %v", v, padded, ok)
		}
		if strings.Trim(v, " ") == "" {
			return
		}
		if before, ok := Parse("u=6, i=?1, " + v + ", x"); !ok || before.Extensible != p.Extensible {
			t.Fatalf("among others %q is no dictionary", v)
		}
		for _, want := range []Params{ext(0, false), ext(7, true)} {
			last := fmt.Sprintf("%s, %s, i=?%d", strings.TrimRight(v, " "), want.Field()[:3],
				map[bool]int{true: 1}[want.Incremental])
			if got, ok := Parse(last); !ok || got != want {
				t.Fatalf("Parse(%q) = %+v, %v; want %+v", last, got, ok, want)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Parse("u=5, i")
	}
}
