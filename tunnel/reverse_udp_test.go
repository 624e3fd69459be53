package tunnel

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/server"
)

// echoDatagrams sends datagrams of several sizes, and expects them back.
func echoDatagrams(t *testing.T, pc net.PacketConn) {
	t.Helper()
	_ = pc.SetDeadline(time.Now().Add(testTimeout))
	c := pc.(net.Conn)
	for _, n := range []int{1, 0, 1200, 60000} {
		want := strings.Repeat("x", n)
		if _, err := c.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1<<16)
		if got, err := c.Read(b); err != nil || string(b[:got]) != want {
			t.Fatalf("%d of %d octets, %v", got, n, err)
		}
	}
}

// UDP goes through a reverse tunnel, by a dial in a program and through a proxy at the outer side.
func TestReverseUDP(t *testing.T) {
	target := echoUDP(t, "127.0.0.1:0", func(b []byte) []byte { return b })
	records := make(chan *Record, 10)
	outer := newReversePair(t, &Proxy{UDP: true, Policy: allowAll(), Audit: func(r *Record) { records <- r }})
	pc, err := outer.DialUDP(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	echoDatagrams(t, pc)
	if got := pc.(net.Conn).RemoteAddr().String(); got != target {
		t.Errorf("it leads to %s, want %s", got, target)
	}
	_ = pc.Close()
	check := func(r *Record) {
		t.Helper()
		if r.Kind != KindUDP || r.Target != target || r.Sent != 61201 || r.Received != 61201 || r.End != EndClosed {
			t.Errorf("the record is %+v", r)
		}
	}
	check(<-records)
	e := newProxy(t, &Proxy{UDP: true, DialTarget: outer.DialTarget})
	for _, way := range upstreamWays {
		pc, err := e.udpDialer(way).DialUDP(t.Context(), target)
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		echoDatagrams(t, pc)
		_ = pc.Close()
		check(e.record())
		check(<-records)
	}
}

// What an inner side refuses, and one that carries no UDP, have answers of their own.
func TestReverseUDPRefused(t *testing.T) {
	rules, err := ParseRules(strings.NewReader("deny 127.0.0.1\n"), "rules")
	if err != nil {
		t.Fatal(err)
	}
	strict := newReversePair(t, &Proxy{UDP: true, Policy: rules})
	_, err = strict.DialUDP(t.Context(), "127.0.0.1:53")
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden ||
		!strings.Contains(refusal.Details, "127.0.0.1:53") {
		t.Errorf("not allowed: %v", err)
	}
	if _, err := strict.DialUDP(t.Context(), "no port"); err == nil {
		t.Error("a target without a port is dialled")
	}
	without := newReversePair(t, &Proxy{Policy: allowAll()})
	for range 3 { // first it is not known, then it is
		if _, err := without.DialUDP(t.Context(), "127.0.0.1:53"); !errors.Is(err, ErrNoConnectProtocol) {
			t.Errorf("an inner side without UDP: %v", err)
		}
	}
	e := newProxy(t, &Proxy{UDP: true, DialTarget: without.DialTarget})
	_, err = e.udpDialer(overH2).DialUDP(t.Context(), "127.0.0.1:53")
	var pe *ProxyError
	if !errors.As(err, &pe) || pe.StatusCode != http.StatusBadGateway ||
		!strings.Contains(string(pe.Body), "no inner side opens tunnels for UDP") {
		t.Errorf("through the proxy: %v", err)
	}
	nc, err := without.DialContext(t.Context(), "tcp", newOrigin(t).addr)
	if err != nil {
		t.Fatalf("TCP: %v", err)
	}
	_ = nc.Close()
}

// An answer that announces content opens no stream of capsules (RFC 9297 §3.2).
func TestReverseUDPContent(t *testing.T) {
	outer := newReversePair(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if tunnel, err := server.AcceptConnect(w); err == nil {
			_, _ = io.Copy(io.Discard, tunnel)
			_ = tunnel.Close()
		}
	}))
	if _, err := outer.DialUDP(t.Context(), "127.0.0.1:53"); err == nil || !strings.Contains(err.Error(), "Content-Type") {
		t.Errorf("the error is %v", err)
	}
}
