package header

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/http2/hpack"
)

// xnetDecode decodes with x/net's decoder.
func xnetDecode(t testing.TB, d *hpack.Decoder, block []byte) []Field {
	t.Helper()
	fields, err := d.DecodeFull(block)
	if err != nil {
		t.Fatalf("x/net cannot decode %x: %v", block, err)
	}
	return fields
}

// plain drops what a receiver cannot get back.
func plain(fields []Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		out[i] = Field{Name: f.Name, Value: f.Value}
	}
	return out
}

// TestEncodeRepresentation has the representation of a field, the first and the second time.
func TestEncodeRepresentation(t *testing.T) {
	const (
		static      = "indexed"     // RFC 7541 §6.1
		incremental = "incremental" // §6.2.1
		without     = "without"     // §6.2.2
		never       = "never"       // §6.2.3
	)
	tests := []struct {
		field         Field
		first, second string
	}{
		{lines(":status: 200")[0], static, static},
		{lines(":status: 500")[0], static, static},
		{lines(":status: 301")[0], incremental, static},
		{lines(":method: GET")[0], static, static},
		{lines(":method: POST")[0], static, static},
		{lines(":method: PUT")[0], incremental, static},
		{lines(":scheme: http")[0], static, static},
		{lines(":scheme: https")[0], static, static},
		{lines(":path: /")[0], static, static},
		{lines(":path: /index.html")[0], static, static},
		{lines(":path: /a")[0], without, without},
		{lines(":authority: example.com")[0], incremental, static},
		{lines("accept-encoding: gzip, deflate")[0], static, static},
		{lines("accept-encoding: gzip, deflate, br")[0], incremental, static},
		{lines("accept: ")[0], static, static},
		{lines("content-type: text/html")[0], incremental, static},
		{lines("x-custom: 1")[0], incremental, static},
		{lines("x-empty: ")[0], incremental, static},
		{lines("content-length: 13")[0], without, without},
		{lines("etag: \"abc\"")[0], without, without},
		{lines("set-cookie: a=b")[0], without, without},
		{lines("location: /elsewhere")[0], without, without},
		{lines("if-none-match: \"abc\"")[0], without, without},
		{lines("x-request-id: 123")[0], without, without},
		{lines("traceparent: 00-1-2-3")[0], without, without},
		{lines("date: Mon, 02 Nov 2026 15:04:05 GMT")[0], without, incremental},
		{lines("authorization: Basic dTpw")[0], never, never},
		{lines("proxy-authorization: Basic dTpw")[0], never, never},
		{lines("cookie: short=1")[0], never, never},
		{lines("cookie: long=0123456789abcdef0123456789abcdef")[0], incremental, static},
		{Field{Name: "x-secret", Value: "1", Sensitive: true}, never, never},
		{Field{Name: "content-type", Value: "text/html", Sensitive: true}, never, never},
		{Field{Name: ":path", Value: "/", Sensitive: true}, never, never},
		{lines("x-larger-than-the-table: " + strings.Repeat("v", 5000))[0], without, without},
		{lines("x-most-of-the-table: " + strings.Repeat("v", 3500))[0], without, without},
	}
	for _, test := range tests {
		t.Run(test.field.Name+" "+test.field.Value[:min(10, len(test.field.Value))], func(t *testing.T) {
			e := NewEncoder(4096)
			for i, want := range []string{test.first, test.second} {
				b := e.Append(nil, []Field{test.field})
				got := static
				switch {
				case b[0]&0x80 != 0:
				case b[0]&0x40 != 0:
					got = incremental
				case b[0]&0xf0 == 0x10:
					got = never
				case b[0]&0xf0 == 0:
					got = without
				default:
					got = fmt.Sprintf("%#x", b[0])
				}
				if got != want {
					t.Errorf("time %d: %s, want %s", i+1, got, want)
				}
			}
		})
	}
}

func TestEncodeIntoBuffer(t *testing.T) {
	e := NewEncoder(4096)
	b := e.Append([]byte("before"), lines(":status: 200"))
	if string(b) != "before\x88" {
		t.Errorf("got %q", b)
	}
	if b = e.Append(b, nil); string(b) != "before\x88" {
		t.Errorf("a block without fields makes it %q", b)
	}
}

// Examples of RFC 7541 §C.4 and §C.6: the same octets wherever our choice of representation is
// that of the RFC.
func TestEncodeRFCExamples(t *testing.T) {
	e := NewEncoder(4096)
	for _, test := range []struct {
		fields []Field
		want   string
	}{
		{
			lines(":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"),
			"828684418cf1e3c2e5f23a6ba0ab90f4ff",
		},
		{
			lines(":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"),
			"828684be5886a8eb10649cbf",
		},
		{
			lines(":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com",
				"custom-key: custom-value"),
			"828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
		},
	} {
		if got := fmt.Sprintf("%x", e.Append(nil, test.fields)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// The decoder against the octets of RFC 7541 §C.5 and §C.6, whose table has 256 octets and
// evicts.
func TestDecodeRFCExamples(t *testing.T) {
	want := [][]Field{
		lines("cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"),
		lines("cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"),
		lines("cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT", "location: https://www.example.com",
			"content-encoding: gzip", "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
	}
	status := []int{302, 307, 200}
	plainBlocks := []string{
		"4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17687474" +
			"70733a2f2f7777772e6578616d706c652e636f6d",
		"4803333037c1c0bf",
		"88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a" +
			"4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
	}
	huffBlocks := []string{
		"488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
		"4883640effc1c0bf",
		"88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960" +
			"d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
	}
	for name, blocks := range map[string][]string{"§C.5": plainBlocks, "§C.6": huffBlocks} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(4096, 1<<16, 100)
			if err := d.Write([]byte{0x3f, 0xe1, 0x01}); err != nil { // 256
				t.Fatal(err)
			}
			var m Message
			for i, s := range blocks {
				var block []byte
				if _, err := fmt.Sscanf(s, "%x", &block); err != nil {
					t.Fatal(err)
				}
				decodeInto(t, d, &m, block)
				if diff := cmp.Diff(want[i], m.Fields); diff != "" || m.Status != status[i] {
					t.Errorf("block %d: status %d; %s", i+1, m.Status, diff)
				}
			}
		})
	}
}

func TestEncodeTableSize(t *testing.T) {
	update := func(n uint32) []byte { return appendInteger(nil, 0x20, 5, n) }
	tests := []struct {
		name  string
		cap   uint32
		sizes []uint32
		want  []byte // what the next block begins with
	}{
		{"not changed", 4096, nil, nil},
		{"same", 4096, []uint32{4096}, nil},
		{"raised beyond our cap", 4096, []uint32{65536}, nil},
		{"raised within our cap", 8192, []uint32{65536}, update(8192)},
		{"raised below our cap", 65536, []uint32{5000}, update(5000)},
		{"lowered", 4096, []uint32{100}, update(100)},
		{"lowered to nothing", 4096, []uint32{0}, update(0)},
		{"lowered, still above our cap", 4096, []uint32{65536, 8192}, update(4096)},
		{"lowered twice", 4096, []uint32{1000, 100}, update(100)},
		{"lowered and raised", 4096, []uint32{100, 4096}, concat(update(0), update(4096))},
		{"lowered twice and raised", 4096, []uint32{1000, 100, 2000}, concat(update(0), update(2000))},
		{"lowered, raised and lowered", 4096, []uint32{100, 4096, 1000}, concat(update(0), update(1000))},
		{"cap below the initial size", 100, nil, nil},
		{"cap below it, same", 100, []uint32{4096}, nil},
		{"cap below it, lowered", 100, []uint32{2000}, update(100)},
		{"no table of ours", 0, []uint32{65536}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := NewEncoder(test.cap)
			d := hpack.NewDecoder(4096, nil)
			strict := NewDecoder(4096, 1<<16, 100)
			fields := lines("x-a: 1", "x-b: 2", "x-c: 3")
			b := e.Append(nil, fields)
			xnetDecode(t, d, b)
			var m Message
			decodeInto(t, strict, &m, b)
			for _, n := range test.sizes {
				e.SetPeerTableSize(n)
				d.SetAllowedMaxDynamicTableSize(n)
				strict.SetTableSize(n)
			}
			for i := range 3 {
				b = e.Append(nil, append(lines(":status: 200"), fields...)) // the first field needs no encoder state
				if want := append(bytes.Clone(test.want), 0x88); i == 0 && !bytes.HasPrefix(b, want) {
					t.Errorf("the block begins with %x, want %x", b[:min(len(b), len(want))], want)
				}
				if i > 0 && b[0] != 0x88 {
					t.Errorf("block %d begins with %x", i+1, b[0])
				}
				if diff := cmp.Diff(append(lines(":status: 200"), fields...), xnetDecode(t, d, b)); diff != "" {
					t.Error(diff)
				}
				decodeInto(t, strict, &m, b)
				if diff := cmp.Diff(fields, m.Fields); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// A size update must reach the peer with the next block even if that has no field.
func TestEncodeTableSizeInEmptyBlock(t *testing.T) {
	e := NewEncoder(4096)
	e.SetPeerTableSize(0)
	if b := e.Append(nil, nil); !bytes.Equal(b, []byte{0x20}) {
		t.Errorf("got %x", b)
	}
}

// What is cached of a field must hold: entries move on when another enters the table.
func TestEncodeFieldCache(t *testing.T) {
	e := NewEncoder(4096)
	d := hpack.NewDecoder(4096, nil)
	steady := lines(":status: 200", "content-type: text/html", "server: sluice", "x-a: 1")
	other := lines(":status: 200", "server: sluice", "content-type: text/html", "x-a: 1")
	secret := append(lines(":status: 200"), Field{Name: "content-type", Value: "text/html", Sensitive: true})
	for i := range 100 {
		for _, fields := range [][]Field{
			steady, steady, append(steady[:4:4], lines(fmt.Sprintf("x-changing: %d", i))...), steady, other, secret, steady,
			append(lines(":status: 200"), lines(fmt.Sprintf("x-first: %d", i%3))...), steady, other[:2], steady[:1],
		} {
			if diff := cmp.Diff(fields, xnetDecode(t, d, e.Append(nil, fields))); diff != "" {
				t.Fatal(diff)
			}
		}
	}
	var many []Field
	for i := range maxCacheSlots {
		many = append(many, lines(fmt.Sprintf("x-%d: %d", i, i))...)
	}
	many = append(many, many[1], Field{Name: many[1].Name, Value: "another value"}, Field{Value: "without a name"})
	for range 3 {
		if diff := cmp.Diff(many, xnetDecode(t, d, e.Append(nil, many))); diff != "" {
			t.Fatal(diff)
		}
	}
	if len(e.fieldCache) != maxCacheSlots {
		t.Errorf("%d fields are cached", len(e.fieldCache))
	}
}

func TestEncoderIsLazy(t *testing.T) {
	e := NewEncoder(4096)
	e.SetPeerTableSize(100)
	e.Append(make([]byte, 0, 100), lines(":status: 200", "content-length: 1", "date: x"))
	if e.hpack != nil || e.fieldCache != nil {
		t.Error("an encoder that has needed no table has one")
	}
}

func TestEncodeAllocs(t *testing.T) {
	for _, fields := range [][]Field{response4, response20, request5, request20} {
		e := NewEncoder(4096)
		b := make([]byte, 0, 8192)
		e.Append(b, fields)
		if n := testing.AllocsPerRun(100, func() { e.Append(b, fields) }); n != 0 {
			t.Errorf("%v allocations for %d fields", n, len(fields))
		}
	}
}

// An encoder that was trimmed holds no table, and has the peer empty its own.
func TestEncodeCompact(t *testing.T) {
	e := NewEncoder(4096)
	d := hpack.NewDecoder(4096, nil)
	fields := lines("content-type: text/html")
	first := e.Append(nil, fields)
	xnetDecode(t, d, first)
	for range 3 {
		e.Compact()
		if e.encoderScratch != nil {
			t.Fatal("the table is still there")
		}
		e.Compact() // changes nothing
		b := e.Append(nil, fields)
		// A table of 0, and of 4096 octets, and the field as at first.
		if want := "\x20\x3f\xe1\x1f" + string(first); string(b) != want {
			t.Errorf("sent %x, want %x", b, want)
		}
		if diff := cmp.Diff(fields, xnetDecode(t, d, b)); diff != "" {
			t.Error(diff)
		}
		if b := e.Append(nil, fields); len(b) != 1 {
			t.Errorf("the second time it is %x", b)
		}
	}
	e = NewEncoder(4096)
	e.Append(nil, lines(":status: 200"))
	e.Compact()
	if b := e.Append(nil, lines(":status: 200")); len(b) != 1 {
		t.Errorf("%x: there was no table", b)
	}
}

// TestRoundTripRandom runs a long conversation over both our halves and x/net's decoder, with table
// sizes that change.
func TestRoundTripRandom(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		caps := []uint32{0, 64, 200, 4096, 65536}[r.IntN(5)]
		e := NewEncoder(caps)
		d := NewDecoder(4096, 1<<20, 1000)
		d.SetTableSize(4096)
		x := hpack.NewDecoder(4096, nil)
		var m Message
		for range 200 {
			for r.IntN(10) == 0 {
				n := []uint32{0, 33, 100, 1000, 4096, 10000, 1 << 20}[r.IntN(7)]
				e.SetPeerTableSize(n)
				d.SetTableSize(n)
				x.SetAllowedMaxDynamicTableSize(n)
			}
			if r.IntN(10) == 0 {
				e.Compact()
				d.Compact()
			}
			fields := randomFields(r)
			b := e.Append(nil, fields)
			if diff := cmp.Diff(plain(fields), plain(xnetDecode(t, x, b)), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d: x/net has %s", seed, diff)
			}
			if err := decodeFragments(d, b, func() int { return 1 + r.IntN(20) }, &m); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if diff := cmp.Diff(plain(fields), plain(m.Fields), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("seed %d: we have %s", seed, diff)
			}
		}
	}
}

func randomFields(r *rand.Rand) []Field {
	names := []string{
		"accept",
		"content-type",
		"date",
		"etag",
		"x-a",
		"x-b",
		"x-request-id",
		"authorization",
		"server",
		"x-long-name-that-nobody-knows-of",
	}
	fields := make([]Field, r.IntN(8))
	for i := range fields {
		value := strings.Repeat(string(rune('a'+r.IntN(3))), r.IntN(4))
		if r.IntN(20) == 0 {
			value = strings.Repeat("long \xff~", r.IntN(200)) + "end"
		}
		fields[i] = Field{Name: names[r.IntN(len(names))], Value: value, Sensitive: r.IntN(20) == 0}
	}
	return fields
}
