package conn

import (
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/memconn"
)

// A tunnel that is not used costs no goroutine, also of one that is closed and lingers.
func TestTunnelsWithoutGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Client, Config{}, memconn.Options{})
		p.greet()
		before := runtime.NumGoroutine() + 10 // others of the program come and go
		var tunnels []*Tunnel
		for i := range 500 {
			tunnels = append(tunnels, p.tunnel(uint32(2*i+1)))
		}
		synctest.Wait()
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("500 tunnels have %d goroutines more than 10", n-before)
		}
		for _, tun := range tunnels {
			check(t, "Close", tun.Close())
		}
		p.read()
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("500 closed tunnels have %d goroutines more than 10", n-before)
		}
		time.Sleep(DefaultTunnelCloseTimeout)
		synctest.Wait()
		if n := p.c.Stats().Streams; n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// On TCP neither Write nor Read allocates.
func TestTunnelAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, "Listen", err)
	defer l.Close()
	cn, err := net.Dial("tcp", l.Addr().String())
	check(t, "Dial", err)
	sn, err := l.Accept()
	check(t, "Accept", err)
	p := newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
		if err := st.WriteHeaders(status2(200), false); err != nil {
			t.Error(err)
		}
		done := make(chan bool)
		tun := NewTunnel(st, func() { close(done) })
		_, _ = io.Copy(tun, tun)
		_ = tun.Close()
		<-done
	})
	st, err := p.client.OpenRequest(&Request{Fields: connectTo(0).Fields})
	check(t, "OpenRequest", err)
	_, err = headOf(st)
	check(t, "Head", err)
	tun := NewTunnel(st, nil)
	buf := make([]byte, 1000)
	round := func() {
		if _, err := tun.Write(buf); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(tun, buf); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(500, round); n >= 1 {
		t.Errorf("%.1f allocations for a write and a read on both sides", n)
	}
	check(t, "Close", tun.Close())
}
