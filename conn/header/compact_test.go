package header

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// What every connection holds as long as it is there fits the allocator's size classes; of more
// than 512 octets 8 are the allocator's own.
func TestSize(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the size classes are those of 64-bit systems, where pointers take twice as much")
	}
	for name, size := range map[string][2]uintptr{
		"Decoder": {unsafe.Sizeof(Decoder{}), 80},
		"Encoder": {unsafe.Sizeof(Encoder{}), 32},
	} {
		if size[0] > size[1] {
			t.Errorf("a %s has %d octets, more than %d", name, size[0], size[1])
		}
	}
}

// A table that was serialized is the one that it was, whatever is in it.
func TestDecodeCompact(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var b strings.Builder
		enc := hpack.NewEncoder(&b)
		d := NewDecoder(4096, 1<<20, 1000)
		d.Compact()
		if d.hpack != nil || d.serialized != "" {
			t.Fatal("there was no table")
		}
		for range 60 {
			var want []Field
			b.Reset()
			for range r.IntN(6) {
				f := Field{Name: fmt.Sprint("x-", r.IntN(30)), Value: strings.Repeat("v\x01 ", r.IntN(200))}
				switch r.IntN(8) {
				case 0:
					f = Field{Name: "accept", Value: fmt.Sprint(r.IntN(1000))}
				case 1:
					f.Sensitive = true
				}
				want = append(want, f)
				if err := enc.WriteField(f); err != nil {
					t.Fatal(err)
				}
			}
			var m Message
			if err := d.Write([]byte(b.String())); err != nil {
				t.Fatal(err)
			}
			d.Compact() // does nothing: a block is under way
			if err := d.Decode(nil, &m); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got := plain(m.Fields); len(want)+len(got) > 0 && !m.TooLarge {
				if diff := cmp.Diff(plain(want), got); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
			if r.IntN(3) == 0 {
				d.Compact()
				d.Compact()
				if d.hpack != nil || d.decoderScratch != nil {
					t.Fatal("the decoder is still there")
				}
			}
		}
	}
}

// An error stays.
func TestDecodeCompactAfterError(t *testing.T) {
	d := NewDecoder(4096, 1<<20, 1000)
	if err := d.Write([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	var m Message
	err := d.Decode(nil, &m)
	if err == nil {
		t.Fatal("an endless integer was accepted")
	}
	d.Compact()
	if again := d.Write([]byte{0x82}); again != err {
		t.Errorf("after an error: %v", again)
	}
}
