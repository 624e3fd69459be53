package tlsbatch

import (
	"bytes"
	"errors"
	"net"
	"testing"
)

// sink is a socket that keeps what is written.
type sink struct {
	net.Conn
	got bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) { return s.got.Write(p) }

// records writes each octet as a record of its own, and fails at '!'.
type records struct{ c *Conn }

var errRecord = errors.New("no such record")

func (r records) Write(p []byte) (int, error) {
	for i := range p {
		if p[i] == '!' {
			return i, errRecord
		}
		if _, err := r.c.Write([]byte{'<', p[i], '>'}); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestSeal(t *testing.T) {
	var socket sink
	c := New(&socket)
	want := func(why, s string) {
		t.Helper()
		if got := socket.got.String(); got != s {
			t.Errorf("%s: the socket has got %q, want %q", why, got, s)
		}
	}
	later := func(why, s string) {
		t.Helper()
		if got := string(c.Sent()); got != s {
			t.Errorf("%s: %q is to follow, want %q", why, got, s)
		}
	}
	tc := records{c}
	_, _ = tc.Write([]byte("a"))
	want("what nobody seals is written", "<a>")
	b, err := c.Seal(tc, []byte("bcd"), []byte("before"))
	if err != nil || string(b) != "before<b><c><d>" {
		t.Errorf("sealed is %q, %v", b, err)
	}
	_, _ = tc.Write([]byte("k"))
	want("sealed records are written by who has sealed them", "<a>")
	later("a record has come in between", "<k>")
	_, _ = tc.Write([]byte("l"))
	later("another has while that was written", "<l>")
	later("none has", "")
	_, _ = tc.Write([]byte("e"))
	want("all is sent", "<a><e>")
	if b, err := c.Seal(tc, []byte("f!g"), nil); !errors.Is(err, errRecord) || string(b) != "<f>" {
		t.Errorf("sealed is %q, %v", b, err)
	}
}

// A peer that makes us answer and does not read the answers cannot make us keep them all.
func TestSealKeepsLittle(t *testing.T) {
	c := New(new(sink))
	if _, err := c.Seal(records{c}, []byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for kept <= 2*laterMost {
		n, err := c.Write(make([]byte, 30))
		if err != nil {
			break
		}
		kept += n
	}
	if kept > laterMost || kept < laterMost-30 {
		t.Errorf("%d octets were kept", kept)
	}
	if b := c.Sent(); len(b) != kept {
		t.Errorf("%d octets are to follow, want %d", len(b), kept)
	}
}
