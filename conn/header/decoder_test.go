package header

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// literal gives a literal field without Huffman coding; repr is reprPlain, reprIncremental or
// reprNever.
func literal(repr byte, name, value string) []byte {
	b := []byte{repr}
	b = appendInteger(b, 0, 7, uint32(len(name)))
	b = append(b, name...)
	b = appendInteger(b, 0, 7, uint32(len(value)))
	return append(b, value...)
}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestDecodeErrors(t *testing.T) {
	huff := func(octets ...byte) []byte {
		return append([]byte{0x00, 1, 'x', 0x80 | byte(len(octets))}, octets...)
	}
	const index, integer, update, over = "RFC 7541 §2.3.3", "RFC 7541 §3", "RFC 7541 §3", "RFC 7541 §6.3"
	const huffman, cut, long = "RFC 7541 §5.2", "RFC 9113 §4.3", "RFC 9113 §4.3"
	tests := []struct {
		name    string
		block   []byte
		section string
	}{
		{"index 0", []byte{0x80}, index},
		{"index behind the static table", []byte{0xbe}, index},
		{"index of many octets", []byte{0xff, 0x80, 0x80, 0x01}, index},
		{"index behind the dynamic table", concat(literal(reprIncremental, "a", "b"), []byte{0xbf}), index},
		{"name index behind the tables", []byte{0x7e, 1, 'x'}, index},
		{"name index behind the tables, not indexed", []byte{0x0f, 0x3e - 0x0f, 1, 'x'}, index},
		{"integer of 10 octets", concat([]byte{0xff}, bytes.Repeat([]byte{0x80}, 9), []byte{0x01}), integer},
		{"string length of 10 octets", concat([]byte{0x00, 0x7f}, bytes.Repeat([]byte{0xff}, 9), []byte{0x01}), integer},
		{"size update of 10 octets", concat([]byte{0x3f}, bytes.Repeat([]byte{0xff}, 9), []byte{0x01}), "RFC 7541 §5.1"},
		{"size update of 2^32", []byte{0x3f, 0xe1, 0xff, 0xff, 0xff, 0x0f}, over},
		{"size update behind a field", concat(literal(reprIncremental, "a", "b"), []byte{0x20}), update},
		{"size update between fields", concat(literal(reprIncremental, "a", "b"), []byte{0x20, 0x82}), update},
		{"size update above the setting", []byte{0x3f, 0xe2, 0x1f}, over}, // 4097
		{"EOS in a string", huff(0xff, 0xff, 0xff, 0xff), huffman},
		{"EOS behind a symbol", huff(0x1f, 0xff, 0xff, 0xff, 0xff), huffman},
		{"padding of 8 bits", huff(0x1f, 0xff), huffman},
		{"padding of zeros", huff(0x18), huffman},
		{"padding of a zero among ones", huff(0x1e), huffman},
		{"Huffman name with wrong padding", []byte{0x00, 0x81, 0x00, 1, 'x'}, huffman},
		{"cut in an index", []byte{0xff}, cut},
		{"cut in a longer index", []byte{0xff, 0x80}, cut},
		{"cut before the name", []byte{0x40}, cut},
		{"cut in the length of the name", []byte{0x40, 0x7f}, cut},
		{"cut in the name", []byte{0x40, 2, 'a'}, cut},
		{"cut before the value", []byte{0x40, 1, 'a'}, cut},
		{"cut in the value", []byte{0x40, 1, 'a', 2, 'b'}, cut},
		{"cut in a size update", []byte{0x3f}, "RFC 7541 §5.1"},
		{"value above all limits", concat([]byte{0x00, 1, 'a'}, appendInteger(nil, 0, 7, 1<<30)), long},
		{"name above all limits", concat([]byte{0x00}, appendInteger(nil, 0, 7, 1<<30)), long},
		{
			"value that Huffman coding makes too long",
			concat([]byte{0x00, 1, 'a'}, appendInteger(nil, 0x80, 7, 200_000), make([]byte, 200_000)),
			long,
		},
		{"block above all limits", bytes.Repeat(literal(reprPlain, "a", "b"), 80_000), long},
	}
	for _, test := range tests {
		for _, step := range []int{1 << 30, 7} {
			t.Run(fmt.Sprintf("%s/%d", test.name, step), func(t *testing.T) {
				d := NewDecoder(4096, 1<<16, 100)
				m, err := decodeCut(d, test.block, func() int { return step })
				var ce *frame.ConnError
				if !errors.As(err, &ce) || ce.Code != frame.CompressionError || ce.Section != test.section {
					t.Fatalf("got %v, want COMPRESSION_ERROR of %s", err, test.section)
				}
				if again := d.Write([]byte{0x82}); again != err {
					t.Errorf("the next write gives %v", again)
				}
				if again := d.Decode(nil, m); again != err {
					t.Errorf("the next finish gives %v", again)
				}
			})
		}
	}
}

// decodeFragments decodes b in fragments whose sizes next gives.
func decodeFragments(d *Decoder, b []byte, next func() int, m *Message) error {
	for len(b) > 0 {
		n := min(next(), len(b))
		p := bytes.Clone(b[:n]) // a copy, as it may be overwritten after
		if b = b[n:]; len(b) == 0 {
			return d.Decode(p, m)
		}
		if err := d.Write(p); err != nil {
			return err
		}
	}
	return d.Decode(nil, m)
}

func TestDecodeTableSize(t *testing.T) {
	update := func(n uint32) []byte { return appendInteger(nil, 0x20, 5, n) }
	const due, above, over = "RFC 9113 §4.3.1", "RFC 9113 §4.3.1", "RFC 7541 §6.3"
	tests := []struct {
		name    string
		sizes   []uint32 // acknowledged by the peer, one after the other
		block   []byte
		section string // of the error, or empty
	}{
		{"not changed", nil, []byte{0x82}, ""},
		{"same", []uint32{4096}, []byte{0x82}, ""},
		{"raised, not used", []uint32{8192}, []byte{0x82}, ""},
		{"raised and used", []uint32{8192}, concat(update(8192), []byte{0x82}), ""},
		{"raised and exceeded", []uint32{8192}, update(8193), over},
		{"lowered by the peer on its own", nil, concat(update(0), []byte{0x82}), ""},
		{"lowered and raised by the peer on its own", nil, concat(update(0), update(4096), []byte{0x82}), ""},
		{"lowered and said", []uint32{100}, concat(update(100), []byte{0x82}), ""},
		{"lowered and said with less", []uint32{100}, concat(update(10), []byte{0x82}), ""},
		{"lowered and not said", []uint32{100}, []byte{0x82}, due},
		{"lowered and not said, literal", []uint32{100}, literal(reprPlain, "a", "b"), due},
		{"lowered and exceeded", []uint32{100}, update(101), over},
		{"lowered, raised, said", []uint32{100, 4096}, concat(update(100), update(4096), []byte{0x82}), ""},
		{"lowered, raised, said with less", []uint32{100, 4096}, concat(update(50), []byte{0x82}), ""},
		{"lowered, raised, only the last said", []uint32{100, 4096}, concat(update(4096), []byte{0x82}), above},
		{"lowered, raised, not said", []uint32{100, 4096}, []byte{0x82}, due},
		{"lowered twice, less said", []uint32{100, 50}, concat(update(50), []byte{0x82}), ""},
		{"lowered twice, then raised, more said", []uint32{50, 100}, concat(update(100), []byte{0x82}), above},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := NewDecoder(4096, 1<<16, 100)
			for _, n := range test.sizes {
				d.SetTableSize(n)
			}
			_, err := decodeCut(d, test.block, func() int { return 1 << 30 })
			var ce *frame.ConnError
			switch {
			case test.section == "" && err != nil:
				t.Fatal(err)
			case test.section != "" && (!errors.As(err, &ce) || ce.Section != test.section):
				t.Fatalf("got %v, want an error of %s", err, test.section)
			}
		})
	}
}

// A size update empties the table as far as need be (RFC 7541 §4.3).
func TestDecodeEviction(t *testing.T) {
	d := NewDecoder(4096, 1<<16, 100)
	var m Message
	decodeInto(t, d, &m, concat(literal(reprIncremental, "a", "1"), literal(reprIncremental, "b", "2")))
	decodeInto(t, d, &m, []byte{0x20 | 0x1f, 68 - 0x1f, 0xbf, 0xbe}) // two entries of 34
	if diff := cmp.Diff(lines("a: 1", "b: 2"), m.Fields); diff != "" {
		t.Error(diff)
	}
	decodeInto(t, d, &m, []byte{0x20 | 0x1f, 67 - 0x1f, 0xbe})
	if diff := cmp.Diff(lines("b: 2"), m.Fields); diff != "" {
		t.Error(diff)
	}
	if _, err := decodeCut(d, []byte{0xbf}, func() int { return 1 }); err == nil {
		t.Error("the entry that had to go is still there")
	}
}

// A name may be taken from the entry that has to go for the new one (RFC 7541 §4.4).
func TestDecodeNameOfEvicted(t *testing.T) {
	d := NewDecoder(4096, 1<<16, 100)
	var m Message
	decodeInto(t, d, &m, concat([]byte{0x20 | 0x1f, 40 - 0x1f}, literal(reprIncremental, "name", "1")))
	decodeInto(t, d, &m, []byte{0x7e, 1, '2', 0xbe})
	if diff := cmp.Diff(lines("name: 2", "name: 2"), m.Fields); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeTooLarge(t *testing.T) {
	long := strings.Repeat("v", 5000)
	request := []byte{0x82, 0x87, 0x84, 0x41, 1, 'h'} // 42+44+38+43 octets
	tooMany := literal(reprPlain, "a", strings.Repeat("b", 200))
	tests := []struct {
		name   string
		octets uint32
		fields int
		more   []byte
		want   []Field
		large  bool
		newest string // name of the newest entry of the table behind it; "": it is empty
	}{
		{"within", 300, 10, literal(reprIncremental, "a", "b"), lines("a: b"), false, "a"},
		{"octets exactly", 167 + 34, 10, literal(reprIncremental, "a", "b"), lines("a: b"), false, "a"},
		{"one octet too many", 167 + 33, 10, literal(reprIncremental, "a", "b"), nil, true, "a"},
		{"one octet too many, not indexed", 167 + 33, 10, literal(reprPlain, "a", "b"), nil, true, ":authority"},
		{"lines exactly", 300, 5, literal(reprPlain, "a", "b"), lines("a: b"), false, ":authority"},
		{"one line too many", 300, 4, literal(reprPlain, "a", "b"), nil, true, ":authority"},
		{"one line too many by index", 300, 4, []byte{0xbe}, nil, true, ":authority"},
		{"nothing more after that", 300, 10, concat(tooMany, literal(reprPlain, "c", "")), nil, true, ":authority"},
		{"table goes on after that", 300, 10, concat(tooMany, literal(reprIncremental, "c", "")), nil, true, "c"},
		{
			"Huffman is not looked at after that",
			300,
			10,
			concat(tooMany, []byte{0x00, 1, 'x', 0x81, 0x18}),
			nil,
			true,
			":authority",
		},
		{"long value", 300, 10, literal(reprPlain, "a", long), nil, true, ":authority"},
		{"long value by index empties the table", 300, 10, literal(reprIncremental, "a", long), nil, true, ""},
		{"long name", 300, 10, literal(reprPlain, long, ""), nil, true, ":authority"},
		{"long name by index", 300, 10, literal(reprIncremental, long, ""), nil, true, ""},
		{
			"over the table, not over the limit",
			1 << 16,
			10,
			literal(reprIncremental, "a", long),
			lines("a: " + long),
			false,
			"",
		},
		{"three times the limit", 1 << 15, 10, literal(reprPlain, "a", strings.Repeat("v", 3<<15)), nil, true, ":authority"},
		{
			"long after too many",
			300,
			10,
			concat(tooMany, literal(reprPlain, "c", long), literal(reprIncremental, "d", "e")),
			nil,
			true,
			"d",
		},
	}
	for _, test := range tests {
		for _, step := range []int{1 << 30, 7} {
			t.Run(fmt.Sprintf("%s/%d", test.name, step), func(t *testing.T) {
				d := NewDecoder(4096, test.octets, test.fields)
				m, err := decodeCut(d, concat(request, test.more), func() int { return step })
				if err != nil {
					t.Fatal(err)
				}
				want := &Message{
					Method: "GET", Scheme: "https", Authority: "h", Path: "/",
					Fields: test.want, TooLarge: test.large, ContentLength: -1,
				}
				if diff := cmp.Diff(want, m, ignoreChecks, cmpopts.EquateEmpty()); diff != "" {
					t.Error(diff)
				}
				checkFault(t, faultNone, m.requestFault(false))
				// The next block is as any other, and shows what is in the table.
				decodeInto(t, d, m, []byte{0x83})
				if m.TooLarge || m.Method != "POST" {
					t.Errorf("the next block is too large: %v, with method %q", m.TooLarge, m.Method)
				}
				m, err = decodeCut(d, []byte{0x83, 0xbe}, func() int { return 2 })
				switch {
				case test.newest == "":
					if err == nil {
						t.Error("the table is not empty")
					}
				case err != nil:
					t.Error(err)
				case m.Authority == "" && (len(m.Fields) == 0 || m.Fields[0].Name != test.newest),
					m.Authority != "" && test.newest != ":authority":
					t.Errorf("the newest entry is not %s but in %+v", test.newest, m)
				}
			})
		}
	}
}

// What is missing may be among what was dropped, so that a 431 is the right answer.
func TestTooLargeMisses(t *testing.T) {
	d := NewDecoder(4096, 1000, 2)
	var m Message
	decodeInto(t, d, &m, []byte{0x82, 0x87, 0x84})
	checkFault(t, faultNone, m.requestFault(false))
	if !m.TooLarge || m.Method != "GET" {
		t.Errorf("got %+v", m)
	}
	d = NewDecoder(4096, 10, 2)
	decodeInto(t, d, &m, []byte{0x88})
	checkFault(t, faultNone, m.responseFault())
}

// bombs are blocks that are small on the wire and large in memory (CVE-2016-6581, CVE-2026-49975).
func bombs() map[string][]byte {
	return map[string][]byte{
		"large entry": concat(
			literal(reprIncremental, "a", strings.Repeat("b", 4000)),
			bytes.Repeat([]byte{0xbe}, 16000),
		),
		"empty values":    concat(literal(reprIncremental, "x", ""), bytes.Repeat([]byte{0xbe}, 30000)),
		"cookie crumbs":   concat(literal(reprIncremental, "cookie", "a"), bytes.Repeat([]byte{0xbe}, 30000)),
		"empty crumbs":    concat(literal(reprIncremental, "cookie", ""), bytes.Repeat([]byte{0xbe}, 30000)),
		"literal crumbs":  bytes.Repeat([]byte{0x0f, 0x11, 0x01, 'a'}, 30000),
		"short literals":  bytes.Repeat([]byte{0x00, 0x01, 'a', 0x00}, 30000),
		"size updates":    concat(bytes.Repeat([]byte{0x20, 0x3f, 0xe1, 0x1f}, 30000), []byte{0x82}),
		"long literals":   bytes.Repeat(literal(reprPlain, "a", strings.Repeat("b", 16000)), 16),
		"long insertions": bytes.Repeat(literal(reprIncremental, "a", strings.Repeat("b", 4000)), 60),
	}
}

func TestDecodeBombs(t *testing.T) {
	for name, block := range bombs() {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(4096, 64<<10, 200)
			var m Message
			decodeInto(t, d, &m, block)
			if len(m.Fields) > 200 {
				t.Errorf("%d fields", len(m.Fields))
			}
			octets := 0
			for _, f := range m.Fields {
				octets += len(f.Name) + len(f.Value) + 32
			}
			if octets > 64<<10 {
				t.Errorf("%d octets of fields", octets)
			}
			if cap(d.block) > maxKeptBlock || cap(d.crumbs) > maxKeptFields || cap(d.blockCache.octets) > 2*maxCachedBlock ||
				len(d.fieldCache) > maxCachedFields {
				t.Errorf(
					"the decoder keeps buffers of %d, %d, %d, %d",
					cap(d.block),
					cap(d.crumbs),
					cap(d.blockCache.octets),
					len(d.fieldCache),
				)
			}
		})
	}
}

// An unfinished block must not make us hold more than its limits.
func TestDecodeHoldsLittle(t *testing.T) {
	d := NewDecoder(4096, 64<<10, 200)
	chunk := make([]byte, 16<<10)
	var err error
	for n := 0; err == nil; n += len(chunk) {
		if n > 4*64<<10 {
			t.Fatalf("%d octets were taken", n)
		}
		err = d.Write(chunk)
	}
	if cap(d.block) > 2*4*64<<10 {
		t.Errorf("%d octets are held", cap(d.block))
	}
}

// A long Huffman literal in fragments of one octet must take linear time (CVE-2022-41723):
// hpack.Decoder, which would begin anew with each, gets them all at once.
func TestDecodeDrips(t *testing.T) {
	const n = 100_000
	text := hpack.AppendHuffmanString(nil, strings.Repeat("0", n))
	str := append(appendInteger(nil, 0x80, 7, uint32(len(text))), text...)
	block := concat([]byte{0x00}, str, str)
	d := NewDecoder(4096, 1<<20, 200)
	m, err := decodeCut(d, block, func() int {
		if d.hpack != nil {
			t.Fatal("decoded before the block has ended")
		}
		return 1
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Fields) != 1 || len(m.Fields[0].Value) != n || len(m.Fields[0].Name) != n {
		t.Fatal("the field is not there")
	}
}

func TestDecoderIsLazy(t *testing.T) {
	d := NewDecoder(4096, 64<<10, 200)
	if d.hpack != nil || d.block != nil || d.fieldCache != nil {
		t.Error("a decoder that has not been used has a table")
	}
	if n := testing.AllocsPerRun(100, func() { NewDecoder(4096, 64<<10, 200) }); n > 1 {
		t.Errorf("a new decoder is %v allocations", n)
	}
}

func TestDecodeAllocs(t *testing.T) {
	for _, fields := range [][]Field{request5, request20} {
		first, indexed := xnetTwice(t, fields)
		if len(indexed) != len(fields) {
			t.Fatalf("%d octets for %d fields", len(indexed), len(fields))
		}
		d := NewDecoder(4096, 64<<10, 200)
		var m Message
		decodeInto(t, d, &m, first)
		allocs := testing.AllocsPerRun(100, func() {
			decodeInto(t, d, &m, indexed)
			if m.requestFault(false) != faultNone {
				t.Fatal("malformed")
			}
		})
		if allocs != 0 {
			t.Errorf("%v allocations for %d indexed fields", allocs, len(fields))
		}
	}
}

// xnetTwice encodes the same fields twice with one encoder.
func xnetTwice(t testing.TB, fields []Field) (first, second []byte) {
	t.Helper()
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for range 2 {
		first = second
		b.Reset()
		for _, f := range fields {
			if err := enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
		}
		second = bytes.Clone(b.Bytes())
	}
	return first, second
}

// The cached results for the field at a place must not be taken for another field.
func TestDecodeFieldCache(t *testing.T) {
	d := NewDecoder(4096, 64<<10, 200)
	var m Message
	large := strings.Repeat("v", maxCachedFieldSize)
	valid := head("x-a: 1", "x-b: "+large, "x-c: 3", "content-length: 1")
	empty := append(head("x-a: 1"), Field{})
	tests := []struct {
		fields []Field
		fault  fault
	}{
		{valid, faultNone},
		{head("x-a: 1\n", "x-b: 2", "x-c: 3"), faultValue},
		{valid, faultNone},
		{empty, faultEmptyName}, // where a field was too large to be cached
		{valid, faultNone},
		{head("X-A: 1"), faultUpperName},
		{head("x-a: 1", "x-b: "+large, "te: 3"), faultTE},
		{head("x-a: 1", "x-b: "+large, "x-c: 3", "content-length: 2", "content-length: 1"), faultDuplicateContentLength},
		{valid, faultNone},
		{lines(":method: CONNECT"), faultNoAuthority},
	}
	for i, test := range tests {
		for range 2 {
			decodeInto(t, d, &m, literals(test.fields))
			checkFault(t, test.fault, m.requestFault(false))
			if test.fault == faultNone && m.ContentLength != 1 {
				t.Errorf("%d: content-length is %d", i, m.ContentLength)
			}
		}
	}
	if len(d.fieldCache) < 8 || d.fieldCache[5].octets != 0 {
		t.Errorf("%d fields are cached", len(d.fieldCache))
	}
	var many []Field
	for i := range 2 * maxCachedFields {
		many = append(many, lines(fmt.Sprintf("x-%d: %d", i, i))...)
	}
	for range 2 {
		decodeInto(t, d, &m, literals(many))
		if diff := cmp.Diff(many, m.Fields); diff != "" {
			t.Error(diff)
		}
	}
	if len(d.fieldCache) != maxCachedFields {
		t.Errorf("%d fields are cached", len(d.fieldCache))
	}
}

func literals(fields []Field) []byte {
	var b []byte
	for _, f := range fields {
		b = append(b, literal(reprPlain, f.Name, f.Value)...)
	}
	return b
}

func TestStaticTable(t *testing.T) {
	for i := 1; i <= lastStatic; i++ {
		fields, err := hpack.NewDecoder(4096, nil).DecodeFull([]byte{0x80 | byte(i)})
		if err != nil {
			t.Fatal(err)
		}
		want := fields[0]
		e := staticTable[i]
		if e.name != want.Name || e.value != want.Value || fieldSize(e.name, e.value) != uint64(want.Size()) {
			t.Errorf("entry %d is %q: %q, want %v", i, e.name, e.value, want)
		}
		known := lookup(e.name)
		if known.Lower != e.name || int(known.first) > i || int(known.last) < i {
			t.Errorf("entry %d is known as %+v", i, known)
		}
	}
}

func TestKnownNames(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range knownNames() {
		if seen[n.Lower] {
			t.Errorf("%q is there twice", n.Lower)
		}
		seen[n.Lower] = true
		if got := lookup(n.Lower); *got != n {
			t.Errorf("%q is found as %+v", n.Lower, got)
		}
		if classifyName(n.Lower) != kindPlain && n.Lower[0] != ':' {
			t.Errorf("%q is not a valid name", n.Lower)
		}
	}
	for _, name := range []string{"", "x", "Accept", "x-unheard-of", strings.Repeat("a", 1000)} {
		if got := lookup(name); *got != (Name{}) {
			t.Errorf("%q is known as %+v", name, got)
		}
	}
}
