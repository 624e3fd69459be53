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

func TestTestKind(t *testing.T) {
	for _, k := range Kinds() {
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
