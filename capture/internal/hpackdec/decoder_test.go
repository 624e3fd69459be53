package hpackdec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text writes fields in a line, and the error.
func text(fields []Field, err error) string {
	var s []string
	for _, f := range fields {
		l := f.Name + "=" + f.Value
		if f.State != Known || f.Index != 0 {
			l += fmt.Sprintf("(%d %d)", f.State, f.Index)
		}
		if f.NeverIndex {
			l += "!"
		}
		s = append(s, l)
	}
	if err != nil {
		s = append(s, err.Error())
	}
	return strings.Join(s, " ")
}

func TestDecode(t *testing.T) {
	const add, never = "\x40\x01a\x01b", "\x10\x01a\x01b"
	for _, tt := range []struct {
		name   string
		start  bool // StartMissing
		blocks []string
		want   []string
	}{
		{"static", false, []string{"\x82\x84\x88"}, []string{":method=GET :path=/ :status=200"}},
		{"literals", false, []string{add + never + "\x00\x01c\x01d\x04\x01x\xbe"}, []string{"a=b a=b! c=d :path=x a=b"}},
		{"huffman", false, []string{"\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"}, []string{
			":authority=www.example.com",
		}},
		{"evicted", false, []string{"\x3f\x03" + add + "\x40\x01c\x01d\xbe\xbf"}, []string{
			"a=b c=d c=d =(1 63) header block: index 63 is behind the end of the table, at octet 13",
		}},
		{"midway", true, []string{"\xbe\xc5" + add + "\xbe\xbf\x7f\x00\x01v\xbe\xbf"}, []string{
			"=(1 62) =(1 69) a=b a=b =(1 63) =v(1 63) =v(1 62) a=b",
		}},
		{"midway, then emptied", true, []string{"\x20\x3f\xe1\x1f" + add + "\xbe\xbf"}, []string{
			"a=b a=b =(1 63) header block: index 63 is behind the end of the table, at octet 10",
		}},
		{"index 0", false, []string{"\x80\x82"}, []string{"=(1 0) :method=GET header block: index 0, at octet 0"}},
		{"bad huffman", false, []string{"\x40\x01a\x81\x00\x82", "\xbe"}, []string{
			"a=(1 0) :method=GET header block: string is not valid Huffman code, at octet 0", "a=(1 62)",
		}},
		{"long string", false, []string{add, "\x82\x00\x01a\x05bc", "\xbe\x82"}, []string{
			"a=b",
			":method=GET header block: string of 5 octets where 2 are left, at octet 1",
			"a=b(2 62) :method=GET",
		}},
		{"cut", false, []string{"\x00", "\x00\x01", "\x00\x01a", "\xff", "\xff\x80"}, []string{
			"header block: the block ends within a field, at octet 0",
			"header block: string of 1 octets where 0 are left, at octet 0",
			"header block: the block ends within a field, at octet 0",
			"header block: the block ends within an integer, at octet 0",
			"header block: the block ends within an integer, at octet 0",
		}},
		{"integers", false, []string{"\xff\xff\xff\xff\xff\x0f\x82", "\xff\x00", "\xff\x80\x80\x80\x80\x80\x00"}, []string{
			"header block: integer above 2^32-1, at octet 0",
			"=(2 127)",
			"=(2 127)",
		}},
		{"updates", false, []string{"\x3f\xe1\x1f\x82", "\x3f\xe2\x1f", "\x82\x20\x82"}, []string{
			":method=GET",
			"header block: dynamic table size update to 4097, above the SETTINGS_HEADER_TABLE_SIZE of 4096, at octet 0",
			":method=GET :method=GET header block: dynamic table size update behind a field, at octet 1",
		}},
		{"an update of any size", true, []string{"\x3f\xe1\xff\x3f\x82"}, []string{":method=GET"}},
	} {
		d := New(Options{StartMissing: tt.start})
		var got []string
		for _, b := range tt.blocks {
			got = append(got, text(d.Decode([]byte(b), nil)))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A block behind a limit that the table exceeds begins with an update (RFC 9113 §4.3.1).
func TestOwedUpdate(t *testing.T) {
	const missing = "header block: no dynamic table size update, though SETTINGS_HEADER_TABLE_SIZE was lowered to "
	for _, tt := range []struct {
		name   string
		limits []uint32
		lost   bool
		blocks []string
		want   []string
	}{
		{"none", []uint32{33}, false, []string{"\xbe", "\xbe"}, []string{"a=b " + missing + "33, at octet 0", "a=b"}},
		{"none, and raised again", []uint32{0, 4096}, false, []string{"\xbe"}, []string{
			"a=b " + missing + "4096, at octet 0",
		}},
		{"sent", []uint32{0}, false, []string{"\x20\x82"}, []string{":method=GET"}},
		{"not needed", []uint32{34}, false, []string{"\xbe"}, []string{"a=b"}},
		{"lost, perhaps", []uint32{0}, true, []string{"\x82"}, []string{":method=GET"}},
	} {
		d := New(Options{})
		if got := text(d.Decode([]byte("\x40\x01a\x01b"), nil)); got != "a=b" {
			t.Fatal(got)
		}
		for _, n := range tt.limits {
			d.SetLimit(n)
		}
		if tt.lost {
			d.Taint()
		}
		var got []string
		for _, b := range tt.blocks {
			got = append(got, text(d.Decode([]byte(b), nil)))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// After a loss, what is added is known, and what was there before is tainted.
func TestTaint(t *testing.T) {
	d := New(Options{})
	decode := func(block, want string) {
		t.Helper()
		if got := text(d.Decode([]byte(block), nil)); got != want {
			t.Errorf("%x: got %s, want %s", block, got, want)
		}
	}
	decode("\x40\x01a\x01b\x40\x01c\x01d", "a=b c=d")
	d.Taint()
	decode("\x40\x01e\x01f\xbe\xbf\xc0\xc1", "e=f e=f c=d(2 63) a=b(2 64) =(2 65)")
	decode("\x7f\x00\x01v\xbe", "c=v(2 63) c=v(2 62)")
	if !d.Tainted() {
		t.Error("the table is not tainted")
	}
	decode("\x20\x3f\xe1\x1f\x40\x01e\x01f\xbe", "e=f e=f")
	if d.Tainted() {
		t.Error("a table that was emptied is tainted")
	}
}

func TestMaxOctets(t *testing.T) {
	d := New(Options{MaxOctets: 100})
	got := text(d.Decode([]byte("\x40\x01a\x01b\x40\x01c\x01d\x40\x01e\x01f"), nil))
	want := "a=b c=d header block: more than 100 octets of fields, of which the rest is not shown, at octet 10"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := text(d.Decode([]byte("\xbe\xc0"), nil)); got != "e=f a=b" {
		t.Errorf("behind it: %s", got)
	}
}

// The memory of tables is bounded, and what is left out of them is unknown, not wrong.
func TestBudget(t *testing.T) {
	b := NewBudget(1000)
	d := New(Options{Budget: b, StartMissing: true})
	other := New(Options{Budget: b})
	for i := range 100 {
		block := fmt.Sprintf("\x40\x02%02d\x0a0123456789", i)
		want := fmt.Sprintf("%02d=0123456789", i)
		if got := text(d.Decode([]byte(block+"\xbe"), nil)); got != want+" "+want {
			t.Fatalf("got %s, want %s twice", got, want)
		}
		if b.left < 0 || b.left > 1000 {
			t.Fatalf("%d octets are left", b.left)
		}
	}
	if got := text(d.Decode([]byte("\xd1\xff\x14"), nil)); got != "80=0123456789 =(1 147)" {
		t.Errorf("old entries: %s", got)
	}
	if got := text(other.Decode([]byte("\x40\x01a"+"\x50"+strings.Repeat("v", 80)+"\xbe\x82"), nil)); got !=
		"a="+strings.Repeat("v", 80)+" =(1 62) :method=GET" {
		t.Errorf("without memory: %s", got)
	}
	d.Close()
	if other.Close(); b.left != 1000 {
		t.Errorf("%d octets are left at the end", b.left)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x82\x40\x01a\x01b\xbe"), []byte("\xbf\x7f\x00\x81\x00"), true)
	f.Add([]byte("\x3f\xff\xff\x0f\x20"), []byte("\xff\xff\xff\xff\xff\x0f"), false)
	f.Fuzz(func(t *testing.T, a, b []byte, missing bool) {
		budget := NewBudget(4096)
		d := New(Options{Budget: budget, StartMissing: missing, MaxOctets: 1000})
		for range 3 {
			for _, block := range [][]byte{a, b} {
				fields, err := d.Decode(block, nil)
				if len(fields) > 1000/entryOverhead || len(fields) > len(block) {
					t.Fatalf("%d fields of %d octets", len(fields), len(block))
				}
				for _, f := range fields {
					if f.State != Known && !missing && !d.Tainted() && err == nil && f.Index == 0 {
						t.Fatalf("%+v of a block without an error", f)
					}
				}
				if budget.left < 0 || budget.left > 4096 {
					t.Fatalf("%d octets are left", budget.left)
				}
			}
		}
		if d.Close(); budget.left != 4096 {
			t.Fatalf("%d octets are left at the end", budget.left)
		}
	})
}

// A table that was large and is not any more gives its memory back, as the budget says.
func TestTableShrinks(t *testing.T) {
	budget := NewBudget(MaxTableSize)
	d := New(Options{Budget: budget})
	d.SetLimit(MaxTableSize)
	block := "\x3f\xe1\xff\x3f" + strings.Repeat("\x40\x00\x00", 20_000) // of entries without octets
	if _, err := d.Decode([]byte(block), nil); err != nil {
		t.Fatal(err)
	}
	if n := d.table.len(); n != 20_000 {
		t.Fatalf("%d entries, want 20000", n)
	}
	if _, err := d.Decode([]byte("\x3f\xe1\x03\x40\x01a\x01b"), nil); err != nil { // 512 octets
		t.Fatal(err)
	}
	if n := cap(d.table.entries); n > keptEntries {
		t.Errorf("memory for %d entries is kept", n)
	}
	fields, err := d.Decode([]byte("\xbe\xbf"), nil)
	if err != nil || len(fields) != 2 || fields[0].Name != "a" || fields[1].Name != "" {
		t.Errorf("the table has %v, %v; want a and an entry without octets", fields, err)
	}
	if d.Close(); budget.left != MaxTableSize {
		t.Errorf("%d octets of the budget are left, want %d", budget.left, MaxTableSize)
	}
}
