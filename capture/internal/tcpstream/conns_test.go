package tcpstream

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// keep leaves the segments of one side.
func (k *talk) keep(d wire.Dir) {
	var out []*packet.Segment
	for _, s := range k.segs {
		if (s.Src == clientAddr) == (d == c2s) {
			out = append(out, s)
		}
	}
	k.segs = out
}

// missing is what a recorder writes for octets that are not in the capture.
func missing(n int) string { return fmt.Sprintf("<%d %s>", n, WhyMissing) }

// answered is a request, its response, and the end.
func answered(k *talk) {
	k.send(c2s, "A", "request")
	k.send(s2c, "A", "response")
	k.close()
}

var beginnings = []struct {
	name  string
	build func(k *talk)
	syn   bool
	want  outcome
}{
	{"a SYN with octets", func(k *talk) {
		k.send(c2s, "S", "early ")
		k.send(s2c, "SA", "")
		answered(k)
	}, true, outcome{Client: "early request", Server: "response", End: closed}},
	{"SYN sent again", func(k *talk) {
		k.again(k.send(c2s, "S", ""), time.Second)
		k.again(k.send(s2c, "SA", ""), time.Second)
		answered(k)
	}, true, outcome{Client: "request", Server: "response", End: closed}},
	{"both send SYN", func(k *talk) {
		k.send(c2s, "S", "")
		k.seq[0]--
		k.send(s2c, "S", "")
		k.seq[0]++
		k.send(s2c, "A", "")
		answered(k)
	}, true, outcome{Client: "request", Server: "response", End: closed}},
	{"no SYN", func(k *talk) {
		k.send(c2s, "S", "")
		k.lose()
		k.send(s2c, "SA", "")
		k.send(c2s, "A", "")
		answered(k)
	}, true, outcome{Client: "request", Server: "response", End: closed}},
	{"no SYN and ACK", func(k *talk) {
		k.send(c2s, "S", "")
		k.send(s2c, "SA", "")
		k.lose()
		k.send(c2s, "A", "")
		answered(k)
	}, true, outcome{Client: "request", Server: "response", End: closed}},
	{"no handshake", answered, false, outcome{Client: "request", Server: "response", End: closed}},
	{"a keep-alive probe first", func(k *talk) {
		k.seq[0]--
		k.send(c2s, "A", "\x00")
		k.send(s2c, "A", "")
		answered(k)
	}, false, outcome{Client: "request", Server: "response", End: closed}},
	{"the client alone", func(k *talk) {
		k.open()
		answered(k)
		k.keep(c2s)
	}, true, outcome{Client: "request", Server: missing(8), End: closed}},
	{"the server alone", func(k *talk) {
		k.open()
		answered(k)
		k.keep(s2c)
	}, true, outcome{Client: missing(7), Server: "response", End: closed}},
	{"the server alone, no handshake", func(k *talk) {
		answered(k)
		k.keep(s2c)
	}, false, outcome{Server: "response", End: [2]wire.How{wire.Open, wire.Closed}}},
}

func TestBeginnings(t *testing.T) {
	for _, test := range beginnings {
		t.Run(test.name, func(t *testing.T) {
			k := newTalk(0xfffffffe, 100)
			test.build(k)
			r := one(t, assemble(t, Options{}, k.segs))
			if d := cmp.Diff(test.want, r.outcome()); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			if r.conn.SYN != test.syn || r.conn.Client != clientAddr || r.conn.Server != serverAddr {
				t.Errorf("%+v", r.conn)
			}
		})
	}
}

// TestSides guesses the client where no SYN was seen.
func TestSides(t *testing.T) {
	for _, test := range []struct{ src, dst, client string }{
		{"192.0.2.1:50000", "192.0.2.2:8080", "192.0.2.1:50000"},
		{"192.0.2.2:8080", "192.0.2.1:50000", "192.0.2.1:50000"},
		{"192.0.2.2:8080", "192.0.2.1:8080", "192.0.2.2:8080"},
		{"[::1]:443", "[::1]:444", "[::1]:444"},
	} {
		s := &packet.Segment{
			Src: netip.MustParseAddrPort(test.src), Dst: netip.MustParseAddrPort(test.dst),
			ACK: true, Payload: []byte("x"),
		}
		got := one(t, assemble(t, Options{}, []*packet.Segment{s, s}))
		if got.conn.Client.String() != test.client {
			t.Errorf("of %s and %s the client is %v", test.src, test.dst, got.conn.Client)
		}
	}
}

func TestNothingIsCarried(t *testing.T) {
	k := newTalk(1, 2)
	k.send(c2s, "S", "")
	k.send(s2c, "RA", "")
	other := newTalk(1, 2)
	other.open()
	other.close()
	ack := newTalk(1, 2)
	ack.send(c2s, "A", "")
	segs := append(append(other.segs, k.segs...), ack.segs...)
	if got := assemble(t, Options{}, segs); len(got) != 0 {
		t.Errorf("%d connections were opened", len(got))
	}
}

// TestPortsAreUsedAgain has connections with the same addresses, one after the other.
func TestPortsAreUsedAgain(t *testing.T) {
	var segs []*packet.Segment
	var want []string
	for i, end := range []string{"FIN", "RST", "none", "none", "FIN"} {
		k := newTalk(uint32(i)*1000, uint32(i)*7000)
		k.now = epoch.Add(time.Duration(i) * time.Second)
		k.open()
		k.send(c2s, "A", fmt.Sprint("request ", i))
		k.send(s2c, "A", fmt.Sprint("response ", i))
		switch end {
		case "FIN":
			k.close()
			k.send(c2s, "A", "")
		case "RST":
			k.send(c2s, "RA", "")
		}
		segs = append(segs, k.segs...)
		want = append(want, fmt.Sprintf("request %d response %d", i, i))
	}
	var got []string
	for _, r := range assemble(t, Options{}, segs) {
		got = append(got, r.octets[0]+" "+r.octets[1])
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// TestStrays has a connection whose addresses are used again, without a SYN in the capture.
func TestStrays(t *testing.T) {
	k := newTalk(1000, 2000)
	k.open()
	k.send(c2s, "A", "one")
	k.seq[0] += 3 << 29
	for range 200 {
		k.send(c2s, "A", "two")
	}
	got := assemble(t, Options{}, k.segs)
	if len(got) != 2 || got[0].octets[0] != "one" || got[1].octets[0] != strings.Repeat("two", 200-maxStrays-1) {
		t.Errorf("%d connections", len(got))
	}
}

// busy adds segments of another connection.
func (k *talk) busy(n int, step time.Duration) {
	for range n {
		k.now = k.now.Add(step)
		s := &packet.Segment{Time: k.now, Src: withPort(clientAddr, 1), Dst: serverAddr, Seq: 1, ACK: true}
		s.SYN = true
		k.segs = append(k.segs, s)
	}
}

// TestHoleIsWaitedFor looks for when a hole is given up, before the end of the capture.
func TestHoleIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		name  string
		after func(k *talk)
		given bool
	}{
		{"packets of the connection", func(k *talk) {
			for range maxWaitPackets {
				k.send(s2c, "A", "")
			}
		}, true},
		{"too few of them", func(k *talk) {
			for range maxWaitPackets - 2 {
				k.send(s2c, "A", "")
			}
		}, false},
		{"packets of another one, within a moment", func(k *talk) { k.busy(1000, time.Millisecond) }, false},
		{"packets of another one, and time", func(k *talk) { k.busy(maxWaitPackets, 20*time.Millisecond) }, true},
		{"time", func(k *talk) { k.busy(100, time.Second) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &recorder{t: t}
			a := New(func(*Conn) wire.Sink { return r }, Options{})
			k := newTalk(1, 2)
			k.open()
			k.send(c2s, "A", "lost")
			k.lose()
			k.send(c2s, "A", "here")
			k.send(s2c, "A", "")
			test.after(k)
			k.send(s2c, "A", "")
			for i, s := range k.segs {
				s.Number = uint64(i + 1)
				a.Add(s)
			}
			want := ""
			if test.given {
				want = "<4 " + WhyMissing + ">here"
			}
			if r.octets[0] != want {
				t.Errorf("%q, not %q", r.octets[0], want)
			}
		})
	}
}

// TestResetWaitsForSegments ends a connection with what follows RST, without a further packet of
// its own.
func TestResetWaitsForSegments(t *testing.T) {
	r := &recorder{t: t}
	a := New(func(*Conn) wire.Sink { return r }, Options{})
	k := newTalk(1, 2)
	k.open()
	k.send(c2s, "A", "one")
	k.send(s2c, "R", "")
	k.send(c2s, "A", "two")
	k.busy(maxWaitPackets+2, time.Microsecond)
	for i, s := range k.segs {
		s.Number = uint64(i + 1)
		a.Add(s)
	}
	if r.octets[0] != "onetwo" || r.end != reset || r.ended != [2]int{1, 1} {
		t.Errorf("%q, %v", r.octets[0], r.end)
	}
}

// TestClosedConnectionsAreForgotten has retransmissions that come soon, and late.
func TestClosedConnectionsAreForgotten(t *testing.T) {
	n := 0
	a := New(func(*Conn) wire.Sink { n++; return &nothing{} }, Options{})
	k := newTalk(1, 2)
	k.open()
	s := k.send(c2s, "A", "one")
	k.close()
	k.busy(1000, time.Millisecond)
	k.again(s, 0)
	k.busy(1, time.Minute)
	for i, s := range k.segs {
		s.Number = uint64(i + 1)
		a.Add(s)
	}
	if n != 1 || len(a.conns) != 1 {
		t.Errorf("%d connections were opened, and %d are known", n, len(a.conns))
	}
}

// TestBeginsInTime looks for when a connection begins whose first packets are not in the capture.
func TestBeginsInTime(t *testing.T) {
	for n, want := range map[int]string{maxWaitPackets - 1: "", maxWaitPackets: "octets"} {
		r := &recorder{t: t}
		a := New(func(*Conn) wire.Sink { return r }, Options{})
		k := newTalk(1, 2)
		k.send(c2s, "A", "octets")
		k.busy(n, 0)
		k.send(s2c, "A", "")
		for i, s := range k.segs {
			s.Number = uint64(i + 1)
			a.Add(s)
		}
		if r.octets[0] != want {
			t.Errorf("after %d packets: %q, not %q", n, r.octets[0], want)
		}
	}
}
