package conn

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// upload sends n octets in one stream to a server that reads them, over a path of some rate with a
// round trip of 100 ms, and returns how long that took and what both ends counted just before the
// end.
func upload(t *testing.T, n int, rate int64, ccfg, scfg Config) (took time.Duration, client, server Stats) {
	cn, sn := testEnds(t, memconn.Options{Latency: 50 * time.Millisecond, Bandwidth: rate, Buffer: 8 << 20})
	var p *pair
	p = newPair(t, cn, sn, ccfg, scfg, func(st *Stream) {
		got, err := io.CopyN(io.Discard, st, int64(n)-1)
		server = p.server.Stats()
		if rest, _ := io.Copy(io.Discard, st); int(got+rest) != n || err != nil {
			t.Errorf("%d octets have come, and %v", got+rest, err)
		}
		_ = st.Reply(status2(200), nil, nil)
	})
	st, err := openStream(p.client, h2test.Post(0).Fields, false)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := st.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := st.Finish(nil, nil); err != nil {
		t.Fatal(err)
	}
	p.client.Flush()
	if m, err := headOf(st); err != nil || m.Status != 200 {
		t.Fatalf("status %d, %v", m.Status, err)
	}
	took, client = time.Since(start), p.client.Stats()
	st.Release()
	p.wantClean()
	return took, client, server
}

// Nobody configures anything, and a path of 1.25 MB is filled though windows begin with half of
// that. Turned off, or with a size that was chosen, windows stay as they are.
func TestWindowsAdaptToThePath(t *testing.T) {
	if testKind == memconn.OneOctet {
		t.Skip("32 MiB with a Read for each octet take minutes")
	}
	const size, ideal = 32 << 20, (32 << 20) * time.Second / 12_500_000
	for _, tt := range []struct {
		name       string
		cfg        Config
		conn       int64 // connection window in the end
		least      time.Duration
		most       time.Duration
		pings      uint64
		wantGrowth bool
	}{
		{"default", Config{}, 0, ideal, ideal * 110 / 100, 1, true},
		{"off", Config{MaxReceiveBufferGrowth: -1}, 1 << 20, ideal * 3 / 2, time.Minute, 0, false},
		{"stream chosen", Config{MaxReceiveBufferPerStream: 200_000}, 1 << 20, 4 * ideal, time.Minute, 0, false},
		{
			"connection chosen",
			Config{MaxReceiveBufferPerConnection: frame.DefaultWindow},
			frame.DefaultWindow,
			10 * ideal, time.Hour, 0, false,
		},
		{
			"chosen, with growth",
			Config{MaxReceiveBufferPerStream: 65535, MaxReceiveBufferPerConnection: 65535, MaxReceiveBufferGrowth: 8 << 20},
			0, ideal, ideal * 125 / 100, 1, true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, client, server := upload(t, size, 12_500_000, Config{}, tt.cfg)
				if took < tt.least || took > tt.most {
					t.Errorf("32 MiB took %v, want %v to %v", took, tt.least, tt.most)
				}
				if tt.conn > 0 && server.RecvWindow != tt.conn {
					t.Errorf("the connection's window is %d, want %d", server.RecvWindow, tt.conn)
				}
				if (server.RecvGrown > 0) != tt.wantGrowth || (server.RecvWindow > 1<<20) != tt.wantGrowth {
					t.Errorf("windows have grown by %d, that of the connection is %d", server.RecvGrown, server.RecvWindow)
				}
				if server.PingsOut != tt.pings || client.PingsIn != tt.pings {
					t.Errorf("%d PINGs", server.PingsOut)
				}
				if server.RTT < 100*time.Millisecond || server.RTT > 120*time.Millisecond || client.RTT == 0 {
					t.Errorf("RTT %v and %v", server.RTT, client.RTT)
				}
			})
		})
	}
}

// Neither of our own ends holds the other's PINGs against it, however long it takes.
func TestTunePingsAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := core.Limits{GlitchBurst: 1, GlitchRate: 1}
		_, _, server := upload(t, 200<<20, 2_500_000, Config{Limits: limits}, Config{})
		if server.PingsOut < 8 || server.PingsOut > 10 {
			t.Errorf("%d PINGs in 84 s", server.PingsOut)
		}
	})
}

// The window of a stream that is read grows, and not that of its neighbour.
func TestOnlyTheReaderGetsAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cn, sn := testEnds(t, memconn.Options{Latency: 50 * time.Millisecond, Bandwidth: 125_000_000, Buffer: 64 << 20})
		idle := make(chan struct{})
		var p *pair
		p = newPair(t, cn, sn, Config{}, Config{}, func(st *Stream) {
			if st.ID() != 1 {
				<-idle
				return
			}
			if _, err := io.CopyN(io.Discard, st, 60<<20); err != nil {
				t.Error(err)
			}
			if s := p.server.Stats(); s.Unread < 3*DefaultMaxReceiveBufferPerStream ||
				s.Unread > 3*DefaultMaxReceiveBufferPerStream+64<<10 ||
				s.RecvGrown == 0 {
				t.Errorf("%d octets are unread in three streams, windows have grown by %d", s.Unread, s.RecvGrown)
			}
			_, _ = io.Copy(io.Discard, st)
			_ = st.Reply(status2(200), nil, nil)
		})
		var streams []*Stream
		var writers sync.WaitGroup
		for i := range 4 {
			st, err := openStream(p.client, h2test.Post(0).Fields, false)
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, st)
			if i > 0 {
				writers.Go(func() { _, _ = st.Write(make([]byte, 8<<20)) }) // until the server gives up
			}
		}
		if _, err := streams[0].Write(make([]byte, 64<<20)); err != nil {
			t.Fatal(err)
		}
		_ = streams[0].Finish(nil, nil)
		p.client.Flush()
		if m, err := headOf(streams[0]); err != nil || m.Status != 200 {
			t.Errorf("status %d, %v", m.Status, err)
		}
		close(idle)
		writers.Wait()
		for _, st := range streams {
			st.Release()
		}
	})
}
