package memconn

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func TestKinds(t *testing.T) {
	type result struct {
		refused, late, closed, other bool // of a deadline of 1 s
		half                         bool
	}
	want := map[Kind]result{
		Socket: {late: true, half: true}, Wrapped: {late: true, half: true}, NoDeadlines: {refused: true, half: true},
		IdleDeadlines: {half: true}, OtherTimeouts: {other: true, half: true}, FatalTimeouts: {closed: true, half: true},
		NoCloseWrite: {late: true}, OneOctet: {late: true, half: true}, EmptyReads: {late: true, half: true},
	}
	for _, k := range Kinds() {
		t.Run(k.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := Pipe(Options{})
				c.Become(k)
				defer s.Close()
				var got result
				got.refused = c.SetReadDeadline(time.Now().Add(time.Second)) != nil
				go func() {
					time.Sleep(2 * time.Second)
					_, _ = s.Write([]byte("hello"))
				}()
				_, err := io.ReadAtLeast(c, make([]byte, 8), 1)
				got.late, got.closed = errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed)
				got.other = errors.Is(err, errOtherTimeout)
				time.Sleep(3 * time.Second)
				got.half = c.CloseWrite() == nil
				_ = c.Close()
				if got != want[k] {
					t.Errorf("got %+v, want %+v", got, want[k])
				}
			})
		})
	}
}

func TestShortReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{})
		_, _ = s.Write([]byte("ab"))
		_ = s.Close()
		c.Become(OneOctet)
		if n, err := c.Read(make([]byte, 5)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		c.Become(EmptyReads)
		if n, err := c.Read(make([]byte, 5)); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := c.Read(make([]byte, 5)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		_ = c.Close()
	})
}

// Behind the single octets of kind OneOctet come pieces of many sizes.
func TestPiecesBehindSingleOctets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Buffer: 1 << 20})
		_, _ = s.Write(make([]byte, 3*singleOctets))
		_ = s.Close()
		c.Become(OneOctet)
		sizes := make(map[int]int)
		p := make([]byte, 4096)
		for total := 0; total < 3*singleOctets; {
			n, err := c.Read(p)
			if err != nil {
				t.Fatal(err)
			}
			sizes[n]++
			total += n
		}
		if sizes[1] < singleOctets || len(sizes) < 20 {
			t.Errorf("%d Reads of one octet, %d sizes", sizes[1], len(sizes))
		}
		_ = c.Close()
	})
}

func TestTestKind(t *testing.T) {
	for _, k := range append(Kinds(), TLS, TCP) {
		t.Setenv(KindVariable, k.String())
		if got := TestKind(); got != k {
			t.Errorf("%v: %v", k, got)
		}
	}
	t.Setenv(KindVariable, "")
	if got := TestKind(); got != Socket {
		t.Errorf("not set: %v", got)
	}
	t.Setenv(KindVariable, "nothing")
	defer func() {
		if recover() == nil {
			t.Error("an unknown kind is taken")
		}
	}()
	TestKind()
}

// Whatever the kind, what is written comes out at the other end, and then the end of it.
func TestConnect(t *testing.T) {
	for _, k := range append(Kinds(), TLS) {
		t.Run(k.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { wantConnects(t, k) })
		})
	}
	t.Run(TCP.String(), func(t *testing.T) { wantConnects(t, TCP) })
}

func wantConnects(t *testing.T, k Kind) {
	start := time.Now()
	c, s := Connect(Options{Server: k, Latency: time.Minute})
	if d := time.Since(start); d >= time.Minute {
		t.Errorf("the handshake has taken %v", d)
	}
	if below := Below(s); (below == nil) != (k == TCP) {
		t.Errorf("below is %v", below)
	}
	for _, ends := range [][2]End{{c, s}, {s, c}} {
		go func() {
			_, _ = ends[0].Write([]byte("hello"))
			if ends[0].CloseWrite() != nil {
				_ = ends[0].Close()
			}
		}()
		if b, err := io.ReadAll(ends[1]); string(b) != "hello" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	_, _ = c.Close(), s.Close()
}

// On a paced link the pieces do not become smaller and smaller.
func TestPacedPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := Pipe(Options{Buffer: 8000, Bandwidth: 1 << 20})
		go func() {
			for range 1000 {
				_, _ = c.Write(make([]byte, 512))
			}
			_ = c.Close()
		}()
		n, err := io.Copy(io.Discard, s)
		if n != 512_000 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if reads, _ := s.Calls(); reads > 1100 {
			t.Errorf("%d reads for 1000 pieces", reads)
		}
		_ = s.Close()
	})
}
