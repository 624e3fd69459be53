package hpackdec

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2/hpack"
)

// A script is blocks of random fields, with the fields of each.
type script struct {
	blocks [][]byte
	fields [][]hpack.HeaderField
	limits []uint32 // SETTINGS_HEADER_TABLE_SIZE in force for each block
}

// newScript encodes blocks with many repeated fields, and changes the size of the table now and
// then.
func newScript(r *rand.Rand, blocks int) (s script) {
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	limit := uint32(DefaultTableSize)
	for range blocks {
		if r.IntN(20) == 0 {
			limit = []uint32{0, 64, 300, 4096, 65536}[r.IntN(5)]
			enc.SetMaxDynamicTableSizeLimit(limit)
			enc.SetMaxDynamicTableSize(uint32(r.IntN(int(limit) + 1)))
		}
		var fields []hpack.HeaderField
		for range r.IntN(8) {
			f := hpack.HeaderField{
				Name:      []string{":path", ":status", "cookie", "x-a", "x-b"}[r.IntN(5)],
				Value:     fmt.Sprint(r.IntN(40)),
				Sensitive: r.IntN(10) == 0,
			}
			if r.IntN(5) == 0 {
				f.Name = fmt.Sprint("x-", r.IntN(100))
			}
			fields = append(fields, f)
			_ = enc.WriteField(f) // a bytes.Buffer does not fail
		}
		s.blocks = append(s.blocks, bytes.Clone(buf.Bytes()))
		s.fields = append(s.fields, fields)
		s.limits = append(s.limits, limit)
		buf.Reset()
	}
	return s
}

// decode decodes block i.
func (s *script) decode(d *Decoder, i int) ([]Field, error) {
	d.SetLimit(s.limits[i])
	return d.Decode(s.blocks[i], nil)
}

// known are the fields of package hpack as those of this one.
func known(fields []hpack.HeaderField) (list []Field) {
	for _, f := range fields {
		list = append(list, Field{Name: f.Name, Value: f.Value, NeverIndex: f.Sensitive})
	}
	return list
}

// From the start, all fields are those that were sent.
func TestScripts(t *testing.T) {
	for seed := range uint64(200) {
		s := newScript(rand.New(rand.NewPCG(seed, 1)), 100)
		d := New(Options{})
		for i := range s.blocks {
			got, err := s.decode(d, i)
			if diff := cmp.Diff(known(s.fields[i]), got); diff != "" || err != nil {
				t.Fatalf("seed %d, block %d: %v\n%s", seed, i, err, diff)
			}
		}
	}
}

// From the middle, a field is right or unknown, and the number of fields is right. After some
// blocks most are known.
func TestScriptsFromTheMiddle(t *testing.T) {
	var unknown, all [2]int // in the first and the second half
	for seed := range uint64(200) {
		s := newScript(rand.New(rand.NewPCG(seed, 2)), 200)
		d := New(Options{StartMissing: true})
		for i := 50; i < len(s.blocks); i++ {
			got, err := s.decode(d, i)
			if err != nil || len(got) != len(s.fields[i]) {
				t.Fatalf("seed %d, block %d: %d fields of %d, %v", seed, i, len(got), len(s.fields[i]), err)
			}
			half := (i - 50) / 75
			for j, want := range known(s.fields[i]) {
				all[half]++
				if got[j].State == Known {
					if got[j] != want {
						t.Fatalf("seed %d, block %d, field %d: got %+v, want %+v", seed, i, j, got[j], want)
					}
					continue
				}
				unknown[half]++
				checkUnknown(t, got[j], want)
			}
		}
	}
	if unknown[0] == 0 || unknown[1]*20 > all[1] {
		t.Errorf("unknown fields in the halves: %v of %v", unknown, all)
	}
}

// checkUnknown checks that what an unknown field says is right.
func checkUnknown(t *testing.T, got, want Field) {
	t.Helper()
	nameKnown := got.Name == "" || got.Name == want.Name
	valueKnown := got.Value == "" || got.Value == want.Value
	if got.State != Unknown || got.Index <= lastStatic || !nameKnown || !valueKnown {
		t.Fatalf("got %+v where %+v was sent", got, want)
	}
}

// After a loss, a field that is not tainted is right. A value that came as a literal is right in
// any case.
func TestScriptsWithLoss(t *testing.T) {
	var tainted, wrong, all int
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := newScript(r, 200)
		d := New(Options{})
		lost := false
		for i := range s.blocks {
			if r.IntN(40) == 0 {
				d.Taint()
				lost = true
				continue
			}
			got, err := s.decode(d, i)
			if err != nil || len(got) != len(s.fields[i]) {
				t.Fatalf("seed %d, block %d: %d fields of %d, %v", seed, i, len(got), len(s.fields[i]), err)
			}
			for j, want := range known(s.fields[i]) {
				all++
				switch g := got[j]; {
				case g.State == Known && g != want:
					t.Fatalf("seed %d, block %d, field %d: got %+v, want %+v", seed, i, j, g, want)
				case g.State != Known && !lost:
					t.Fatalf("seed %d, block %d, field %d: %+v before any loss", seed, i, j, g)
				case g.State != Known:
					tainted++
					if g.Name != want.Name {
						wrong++
					}
				}
			}
		}
	}
	if tainted == 0 || wrong == 0 || tainted > all/4 {
		t.Errorf("%d of %d fields are tainted, %d have another name", tainted, all, wrong)
	}
}
