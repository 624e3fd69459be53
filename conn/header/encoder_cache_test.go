package header

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestEncodeSameBlockAgain compares an encoder with one without a block cache: the octets are the
// same, whatever comes again and whatever comes in between.
func TestEncodeSameBlockAgain(t *testing.T) {
	hits := 0
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		tableSize := []uint32{0, 64, 200, 4096}[r.IntN(4)]
		e, plainly := NewEncoder(tableSize), NewEncoder(tableSize)
		d := hpack.NewDecoder(4096, nil)
		var few [3][]Field
		for i := range few {
			few[i] = randomFields(r)
		}
		fields := few[0]
		for i := range 300 {
			switch r.IntN(8) {
			case 0:
				fields = few[r.IntN(len(few))]
			case 1:
				fields = randomFields(r)
			case 2: // nearly the same
				if fields = append([]Field(nil), fields...); len(fields) > 0 {
					f := &fields[r.IntN(len(fields))]
					f.Sensitive = !f.Sensitive
				}
			case 3:
				if r.IntN(4) == 0 {
					n := []uint32{0, 100, 4096}[r.IntN(3)]
					e.SetPeerTableSize(n)
					plainly.SetPeerTableSize(n)
					d.SetAllowedMaxDynamicTableSize(n)
				}
			}
			if e.blockCache.matches(fields) {
				hits++
			}
			plainly.blockCache.reset()
			got, want := e.Append(nil, fields), plainly.Append(nil, fields)
			if !bytes.Equal(got, want) {
				t.Fatalf("seed %d, block %d: %x, want %x for %v", seed, i, got, want, fields)
			}
			decoded := xnetDecode(t, d, got)
			if len(decoded) != len(fields) {
				t.Fatalf("seed %d, block %d: %d of %d fields", seed, i, len(decoded), len(fields))
			}
			for k, f := range decoded {
				if f.Name != fields[k].Name || f.Value != fields[k].Value {
					t.Fatalf("seed %d, block %d: %v, want %v", seed, i, f, fields[k])
				}
			}
		}
	}
	if hits < 1000 {
		t.Errorf("only %d blocks came from memory", hits)
	}
}

// A response that comes again is cached once its fields are in the table, the date, which comes
// in with its second time, among them; and what is cached does not depend on the caller's
// memory.
func TestEncodedBlockCacheHolds(t *testing.T) {
	e := NewEncoder(4096)
	fields := append([]Field(nil), response4...)
	var blocks []string
	for range 6 {
		blocks = append(blocks, fmt.Sprintf("%x", e.Append(nil, fields)))
	}
	if !e.blockCache.matches(response4) {
		t.Fatal("the block is not cached")
	}
	if blocks[2] != blocks[3] || blocks[3] != blocks[5] || len(blocks[5]) >= len(blocks[1]) {
		t.Errorf("the blocks are %q", blocks)
	}
	clear(fields)
	if got := fmt.Sprintf("%x", e.Append(nil, response4)); got != blocks[5] {
		t.Errorf("%s after the caller has changed his fields, want %s", got, blocks[5])
	}
	if e.blockCache.matches(response4[:3]) || e.blockCache.matches(nil) {
		t.Error("another block is taken for it")
	}
	e.Append(nil, response4[:1])
	if e.blockCache.matches(response4) {
		t.Error("it is cached after another block")
	}
}

// What is cached is bounded, and goes with Compact.
func TestEncodedBlockCacheHoldsLittle(t *testing.T) {
	many := make([]Field, maxCachedBlockFields+1)
	for i := range many {
		many[i] = Field{Name: "accept", Value: ""}
	}
	for name, fields := range map[string][]Field{
		"fields": many,
		"octets": lines("etag: " + strings.Repeat("e", 2*maxCachedBlock)),
	} {
		t.Run(name, func(t *testing.T) {
			e := NewEncoder(4096)
			for range 4 {
				e.Append(nil, fields)
			}
			if e.blockCache.matches(fields) || cap(e.blockCache.octets) > 2*maxCachedBlock || cap(e.blockCache.fields) > 0 {
				t.Errorf("%d octets and %d fields are cached", len(e.blockCache.octets), len(e.blockCache.fields))
			}
		})
	}
	e := NewEncoder(4096)
	secret := lines("authorization: Basic dTpw") // the octets are the same whether it is called Sensitive or not
	for range 100 {
		secret[0].Sensitive = !secret[0].Sensitive
		e.Append(nil, secret)
	}
	if len(e.blockCache.fields) > 1 {
		t.Errorf("%d fields are cached of a block with one", len(e.blockCache.fields))
	}
	for range 4 {
		e.Append(nil, response4)
	}
	e.Compact()
	if e.encoderScratch != nil {
		t.Error("what was sent is cached")
	}
}
