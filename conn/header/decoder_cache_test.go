package header

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
)

// indexed is a field of the dynamic table, 1 being the latest that entered.
func indexed(i byte) []byte { return []byte{reprIndexed | lastStatic + i} }

// The same octets mean the same again only while the table is the same.
func TestDecodeSameBlockAgain(t *testing.T) {
	enters := func(name, value string) []byte { return literal(reprIncremental, name, value) }
	plain := concat(
		literal(reprPlain, "x-a", "1"),
		literal(reprNever, "x-b", "2"),
		[]byte{0x0f, 0x00 | 4, 1, '3'},
		indexed(1),
	)
	tests := []struct {
		block []byte
		want  string // fields, separated by spaces
	}{
		{enters("x", "1"), "x:1"},
		{enters("x", "1"), "x:1"}, // enters a second time
		{enters("y", "2"), "y:2"},
		{indexed(1), "y:2"},
		{indexed(1), "y:2"},
		{indexed(1), "y:2"},
		{enters("z", "3"), "z:3"},
		{indexed(1), "z:3"},
		{indexed(1), "z:3"},
		{indexed(2), "y:2"},
		{concat(indexed(4), indexed(1)), "x:1 z:3"},
		{concat(indexed(4), indexed(1)), "x:1 z:3"},
		{concat(enters("a", "4"), indexed(2)), "a:4 z:3"},
		{concat(enters("a", "4"), indexed(2)), "a:4 a:4"},
		{concat(enters("a", "4"), indexed(2)), "a:4 a:4"},
		{plain, "x-a:1 x-b:2 accept:3 a:4"},
		{plain, "x-a:1 x-b:2 accept:3 a:4"},
		{plain, "x-a:1 x-b:2 accept:3 a:4"},
		{[]byte{0x20}, ""}, // empties the table
		{plain[:len(plain)-1], "x-a:1 x-b:2 accept:3"},
		{[]byte{0x3f, 0xe1, 0x1f}, ""}, // 4096 again
		{[]byte{0x3f, 0xe1, 0x1f}, ""},
		{nil, ""},
		{nil, ""},
		{enters("b", "5"), "b:5"},
		{indexed(1), "b:5"},
	}
	d := NewDecoder(4096, 1<<16, 100)
	var m Message
	for i, test := range tests {
		decodeInto(t, d, &m, test.block)
		var got []string
		for _, f := range m.Fields {
			got = append(got, f.Name+":"+f.Value)
			if f.Sensitive != (f.Name == "x-b") {
				t.Errorf("%d: %v", i, f)
			}
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%d: %s", i, diff)
		}
	}
}

// A message that was cached is as good as one that was decoded, and is not touched by what
// becomes of its copies.
func TestBlockCacheHoldsAll(t *testing.T) {
	first, again := xnetTwice(t, request20)
	d := NewDecoder(4096, 64<<10, 200)
	var want, m Message
	decodeInto(t, d, &m, first)
	decodeInto(t, d, &want, again)
	for i := range 4 {
		decodeInto(t, d, &m, again)
		if i > 0 && d.blockCache.msg == nil {
			t.Fatal("the message is not cached")
		}
		if diff := cmp.Diff(want, m, cmp.AllowUnexported(Message{})); diff != "" {
			t.Fatalf("%d: %s", i, diff)
		}
		clear(m.Fields)
	}
}

// What is cached is bounded, and is a request of the usual kind.
func TestBlockCacheHoldsLittle(t *testing.T) {
	var many []Field
	for i := range maxCachedBlockFields + 1 {
		many = append(many, lines(fmt.Sprintf("x-%d: %d", i, i))...)
	}
	long := concat(bytesOf(indexed(1), 30), []byte{0x82})
	for name, blocks := range map[string][2][]byte{
		"fields":    {nil, bytesOf([]byte{0x90}, maxCachedBlockFields+1)},
		"octets":    {nil, literals(lines("x-a: " + strings.Repeat("v", maxCachedBlock)))},
		"cookies":   {literal(reprIncremental, "cookie", strings.Repeat("c", 1000)), long},
		"too many":  {nil, literals(many)},
		"too large": {nil, bytesOf([]byte{0x90}, 201)},
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(4096, 64<<10, 200)
			var m Message
			decodeInto(t, d, &m, blocks[0])
			for range 3 {
				decodeInto(t, d, &m, blocks[1])
			}
			if d.blockCache.msg != nil || cap(d.blockCache.octets) > 2*maxCachedBlock {
				t.Errorf("%d octets and %v are cached", cap(d.blockCache.octets), d.blockCache.msg)
			}
		})
	}
}

func bytesOf(p []byte, n int) (b []byte) {
	for range n {
		b = append(b, p...)
	}
	return b
}

// A table size update that is due is due also in front of octets that came before.
func TestDecodeSameBlockWithoutUpdate(t *testing.T) {
	d := NewDecoder(4096, 64<<10, 200)
	var m Message
	for range 3 {
		decodeInto(t, d, &m, []byte{0x82})
	}
	d.SetTableSize(100)
	if err := d.Decode([]byte{0x82}, &m); !errors.Is(err, frame.CompressionError) {
		t.Errorf("the error is %v", err)
	}
}

func TestChangesTable(t *testing.T) {
	for _, tt := range []struct {
		block []byte
		want  bool
	}{
		{nil, false},
		{[]byte{0x82, 0xff, 0x80, 0x01, 0x86}, false},
		{literal(reprPlain, "a", strings.Repeat("b", 300)), false},
		{literal(reprNever, strings.Repeat("a", 300), "b"), false},
		{concat(literal(reprPlain, "a", "@@@"), literal(reprIncremental, "a", "b")), true},
		{concat([]byte{0x0f, 0x11, 2, 0x40, 0x40}, []byte{0x82}), false},
		{concat([]byte{0x0f, 0x11, 2, 0x40, 0x40}, []byte{0x41, 0}), true},
		{[]byte{0x20}, true},
		{[]byte{0x3f, 0xe1, 0x1f}, true},
		{[]byte{0x0f}, false}, // not well-formed: it must not panic
		{[]byte{0x00, 0x7f}, false},
		{[]byte{0x00, 0x05, 'a'}, false},
	} {
		if got := changesTable(tt.block); got != tt.want {
			t.Errorf("%x: %v", tt.block, got)
		}
	}
}
