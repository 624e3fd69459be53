package tunnel

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// capsule makes a capsule of a type and a value.
func capsule(typ uint64, value string) string {
	return string(appendVarint(appendVarint(nil, typ), uint64(len(value)))) + value
}

// payloads reads all payloads of a stream.
func payloads(r io.Reader) (got []string, err error) {
	c := &capsuleReader{r: r}
	for {
		p, err := c.next()
		if err != nil {
			return got, err
		}
		got = append(got, string(p))
	}
}

// Each stream has the same payloads and the same end however it is cut.
func TestCapsules(t *testing.T) {
	long := strings.Repeat("x", maxUDPPayload)
	for _, tt := range []struct {
		name, in string
		want     []string
		err      error
	}{
		{"nothing", "", nil, io.EOF},
		{"one", capsule(0, "\x00one"), []string{"one"}, io.EOF},
		{"empty payload", capsule(0, "\x00"), []string{""}, io.EOF},
		{"the longest", capsule(0, "\x00"+long) + capsule(0, "\x00a"), []string{long, "a"}, io.EOF},
		{"too long", capsule(0, "\x00"+long+"x"), nil, errDatagramTooLong},
		{"too long, of the announcement alone", "\x00\xbf\xff\xff\xff\x00", nil, errDatagramTooLong},
		{"unknown type", capsule(0x1234567, long+long) + capsule(0, "\x00a"), []string{"a"}, io.EOF},
		{"unknown type, empty", capsule(63, "") + capsule(0, "\x00a"), []string{"a"}, io.EOF},
		{"unknown context", capsule(0, "\x02abc") + capsule(0, "\x00a"), []string{"a"}, io.EOF},
		{"unknown context, long", capsule(0, "\x02"+long+long) + capsule(0, "\x00a"), []string{"a"}, io.EOF},
		{"long integers", "\x40\x00\x80\x00\x00\x09\xc0\x00\x00\x00\x00\x00\x00\x00a", []string{"a"}, io.EOF},
		{"no context", capsule(0, ""), nil, errCapsuleShort},
		{"half a context", capsule(0, "\x40") + capsule(0, "\x00a"), nil, errCapsuleShort},
		{"cut in the type", "\x40", nil, errCapsuleCut},
		{"cut in the length", "\x00\x40", nil, errCapsuleCut},
		{"cut before the context", "\x00\x05", nil, errCapsuleCut},
		{"cut in the payload", "\x00\x05\x00abc", nil, errCapsuleCut},
		{"cut in an unknown one", "\x01\x05abc", nil, errCapsuleCut},
		{"cut before the value of an unknown one", "\x01\x05", nil, errCapsuleCut},
		{"unknown and endless", "\x01\xff\xff\xff\xff\xff\xff\xff\xff", nil, errCapsuleLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"whole":           strings.NewReader(tt.in),
				"octet by octet":  iotest.OneByteReader(strings.NewReader(tt.in)),
				"halves":          iotest.HalfReader(strings.NewReader(tt.in)),
				"error with data": iotest.DataErrReader(strings.NewReader(tt.in)),
			} {
				got, err := payloads(r)
				if !errors.Is(err, tt.err) || len(got) != len(tt.want) {
					t.Fatalf("%s: %d payloads, %v; want %d, %v", name, len(got), err, len(tt.want), tt.err)
				}
				for i := range got {
					if got[i] != tt.want[i] {
						t.Errorf("%s: payload %d has %d octets, want %d", name, i, len(got[i]), len(tt.want[i]))
					}
				}
			}
		})
	}
}

// A timeout at any octet loses nothing.
func TestCapsulesTimeout(t *testing.T) {
	in := capsule(0, "\x00one") + capsule(77, "skipped") + capsule(0, "\x00two")
	for at := range len(in) {
		c := &capsuleReader{r: io.MultiReader(
			strings.NewReader(in[:at]), &failOnce{}, strings.NewReader(in[at:]))}
		var got []string
		timeouts := 0
		for {
			p, err := c.next()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				timeouts++
				continue
			}
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Errorf("at %d: %v", at, err)
				}
				break
			}
			got = append(got, string(p))
		}
		if timeouts != 1 || strings.Join(got, " ") != "one two" {
			t.Errorf("at %d: %d timeouts, payloads %q", at, timeouts, got)
		}
	}
}

// failOnce is a reader that times out once and then ends.
type failOnce struct{ done bool }

func (f *failOnce) Read([]byte) (int, error) {
	if f.done {
		return 0, io.EOF
	}
	f.done = true
	return 0, os.ErrDeadlineExceeded
}

// What putUDPHeader makes is read as it was.
func TestPutUDPHeader(t *testing.T) {
	for _, n := range []int{0, 1, 61, 62, 63, 64, 16381, 16382, 16383, 16384, maxUDPPayload} {
		b := make([]byte, udpCapsuleHeader+n)
		for i := range n {
			b[udpCapsuleHeader+i] = byte(i)
		}
		want := bytes.Clone(b[udpCapsuleHeader:])
		got, err := payloads(bytes.NewReader(putUDPHeader(b)))
		if err != io.EOF || len(got) != 1 || got[0] != string(want) {
			t.Errorf("%d octets: %d payloads, %v", n, len(got), err)
		}
	}
}

// A stream has the same payloads, whole and octet by octet, and buffers stay within their bound.
func FuzzCapsules(f *testing.F) {
	f.Add([]byte(capsule(0, "\x00one") + capsule(77, "skipped") + capsule(0, "\x00two")))
	f.Add([]byte("\x00\x40"))
	f.Add([]byte("\x00\x80\x01\x00\x00\x00abc"))
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := &capsuleReader{r: bytes.NewReader(b)}
		cut := &capsuleReader{r: iotest.OneByteReader(bytes.NewReader(b))}
		for {
			p, err := whole.next()
			q, err2 := cut.next()
			if (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() || !bytes.Equal(p, q) {
				t.Fatalf("whole %q, %v; octet by octet %q, %v", p, err, q, err2)
			}
			if n := max(cap(whole.buf), cap(cut.buf)); n > maxUDPPayload+maxCapsuleHeader {
				t.Fatalf("the buffer has %d octets", n)
			}
			if err == nil {
				continue
			}
			if !isMalformed(err) && err != io.EOF {
				t.Fatal(err)
			}
			return
		}
	})
}
