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

func TestEncrypt(t *testing.T) {
	var socket sink
	c := New(&socket)
	want := func(why, s string) {
		t.Helper()
		if got := socket.got.String(); got != s {
			t.Errorf("%s: the socket has got %q, want %q", why, got, s)
		}
	}
	deferred := func(why, s string) {
		t.Helper()
		if got := string(c.Flushed()); got != s {
			t.Errorf("%s: %q is to follow, want %q", why, got, s)
		}
	}
	tc := records{c}
	_, _ = tc.Write([]byte("a"))
	want("without Encrypt a record is written at once", "<a>")
	b, err := c.Encrypt(tc, []byte("bcd"), []byte("before"))
	if err != nil || string(b) != "before<b><c><d>" {
		t.Errorf("encrypted: %q, %v", b, err)
	}
	_, _ = tc.Write([]byte("k"))
	want("the caller of Encrypt writes the records", "<a>")
	deferred("a record has come in between", "<k>")
	_, _ = tc.Write([]byte("l"))
	deferred("another has while that was written", "<l>")
	deferred("none has", "")
	_, _ = tc.Write([]byte("e"))
	want("all is sent", "<a><e>")
	if b, err := c.Encrypt(tc, []byte("f!g"), nil); !errors.Is(err, errRecord) || string(b) != "<f>" {
		t.Errorf("encrypted: %q, %v", b, err)
	}
}

// A peer that asks for answers and does not read them cannot make the Conn keep them all.
func TestMaxDeferred(t *testing.T) {
	c := New(new(sink))
	if _, err := c.Encrypt(records{c}, []byte("a"), nil); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for kept <= 2*maxDeferred {
		n, err := c.Write(make([]byte, 30))
		if err != nil {
			break
		}
		kept += n
	}
	if kept > maxDeferred || kept < maxDeferred-30 {
		t.Errorf("%d octets were kept", kept)
	}
	if b := c.Flushed(); len(b) != kept {
		t.Errorf("%d octets are to follow, want %d", len(b), kept)
	}
}
