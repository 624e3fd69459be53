package header

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// parts cuts the input of a fuzz target into strings.
func parts(data []byte) []string { return strings.Split(string(data), "\n") }

// FuzzRoundTrip encodes any fields twice, and decodes them with x/net's decoder and with ours.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(":status\n200\ncontent-type\ntext/html\ndate\nMon, 02 Nov 2026 15:04:05 GMT"), uint32(4096), uint32(4096))
	f.Add([]byte("cookie\na=b\n\xff\xfe\n\x00\n\n\nX\ny\nx\n1\nx\n2\nx\n1"), uint32(100), uint32(64))
	f.Add([]byte("authorization\nx\naccept-encoding\ngzip, deflate\n:path\n/"), uint32(0), uint32(1<<20))
	f.Fuzz(func(t *testing.T, data []byte, limit, size uint32) {
		var fields []Field
		for ss := parts(data); len(ss) >= 2; ss = ss[2:] {
			fields = append(fields, Field{Name: ss[0], Value: ss[1], Sensitive: len(ss[0]) > 4 && len(ss[0]) == len(ss[1])})
		}
		limit %= 1 << 20
		size %= 1 << 20
		e := NewEncoder(limit)
		x := hpack.NewDecoder(4096, nil)
		d := NewDecoder(4096, 1<<24, 1<<20)
		for i := range 5 {
			b := e.Append(nil, fields)
			if diff := cmp.Diff(plain(fields), plain(xnetDecode(t, x, b)), cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
			var m Message
			decodeInto(t, d, &m, b)
			if m.TooLarge {
				t.Fatal("too large")
			}
			checkSame(t, fields, &m)
			if i == 0 {
				e.SetPeerTableSize(size)
				x.SetAllowedMaxDynamicTableSize(size)
				d.SetTableSize(size)
			}
		}
	})
}

// checkSame compares m with the fields that were sent, in as much as it keeps them.
func checkSame(t *testing.T, fields []Field, m *Message) {
	t.Helper()
	pseudo := map[string]string{}
	var regular []Field
	cookie := -1
	for _, f := range fields {
		k := validate(f.Name, f.Value).kind
		switch {
		case k.nameFault() != faultNone:
		case f.IsPseudo():
			if _, twice := pseudo[f.Name]; !twice {
				pseudo[f.Name] = f.Value
			}
		case k == kindCookie && cookie >= 0:
			regular[cookie].Value += "; " + f.Value
		default:
			if k == kindCookie {
				cookie = len(regular)
			}
			regular = append(regular, f)
		}
	}
	if diff := cmp.Diff(plain(regular), plain(m.Fields), cmpopts.EquateEmpty()); diff != "" {
		t.Fatal(diff)
	}
	got := []string{m.Method, m.Scheme, m.Authority, m.Path, m.Protocol}
	for i, name := range []string{":method", ":scheme", ":authority", ":path", ":protocol"} {
		if got[i] != pseudo[name] {
			t.Fatalf("%s is %q, want %q", name, got[i], pseudo[name])
		}
	}
}

// FuzzDecoder decodes any octets as two blocks: at once, and cut at random. Both must give the
// same messages and errors, and what x/net's decoder gives at once where it agrees that there is no
// error.
func FuzzDecoder(f *testing.F) {
	for _, fields := range [][]Field{response20, request20, head("host: a", "te: trailers", "content-length: 5")} {
		first, second := xnetTwice(f, fields)
		f.Add(first, second, uint64(1), uint32(1<<16))
	}
	for _, block := range bombs() {
		f.Add(block[:min(len(block), 500)], block[:min(len(block), 100)], uint64(2), uint32(300))
	}
	f.Add([]byte{0x20, 0x3f, 0xe1, 0x1f, 0x82}, []byte{0x40, 0x0a, 0xff}, uint64(3), uint32(0))
	f.Add(
		literal(reprIncremental, strings.Repeat("n", 300), strings.Repeat("v", 300)),
		[]byte{0xbe, 0x7e, 0x00},
		uint64(4),
		uint32(100),
	)
	f.Fuzz(func(t *testing.T, first, second []byte, seed uint64, limit uint32) {
		r := rand.New(rand.NewPCG(seed, 0))
		limit = 1 + limit%(1<<17)
		whole, cut := NewDecoder(4096, limit, 20), NewDecoder(4096, limit, 20)
		x := hpack.NewDecoder(4096, nil)
		for _, block := range [][]byte{first, second} {
			a, errA := decodeCut(whole, block, func() int { return 1 << 30 })
			b, errB := decodeCut(cut, block, func() int { return 1 + r.IntN(5) })
			if (errA == nil) != (errB == nil) {
				t.Fatalf("whole: %v, cut: %v", errA, errB)
			}
			if errA != nil {
				var ce *frame.ConnError
				if !errors.As(errA, &ce) || ce.Code != frame.CompressionError || errA.Error() != errB.Error() {
					t.Fatalf("whole: %v, cut: %v", errA, errB)
				}
				return
			}
			if diff := cmp.Diff(a, b, cmp.AllowUnexported(Message{}), cmpopts.EquateEmpty()); diff != "" {
				t.Fatal(diff)
			}
			a.requestFault(true)
			a.responseFault()
			a.trailersFault()
			if fields, err := x.DecodeFull(block); err == nil && !a.TooLarge {
				checkSame(t, fields, a)
			}
		}
	})
}

func decodeCut(d *Decoder, block []byte, next func() int) (*Message, error) {
	m := new(Message)
	return m, decodeFragments(d, block, next, m)
}
