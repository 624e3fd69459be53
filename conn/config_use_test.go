package conn

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/stream/priority"
)

func TestConfigIsBroughtIntoRange(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		got  func(core.Config) any
		want any
	}{
		{"streams, default", Config{}, func(c core.Config) any { return c.MaxConcurrentStreams }, uint32(250)},
		{
			"streams, negative",
			Config{MaxConcurrentStreams: -1},
			func(c core.Config) any { return c.MaxConcurrentStreams },
			uint32(250),
		},
		{
			"streams, too many",
			Config{MaxConcurrentStreams: math.MaxInt},
			func(c core.Config) any { return c.MaxConcurrentStreams },
			uint32(frame.MaxStreamID),
		},
		{"frame, default", Config{}, func(c core.Config) any { return c.MaxReadFrameSize }, uint32(16384)},
		{"frame, small", Config{MaxReadFrameSize: 1}, func(c core.Config) any { return c.MaxReadFrameSize }, uint32(16384)},
		{
			"frame, large",
			Config{MaxReadFrameSize: 1 << 30},
			func(c core.Config) any { return c.MaxReadFrameSize },
			uint32(1<<24 - 1),
		},
		{
			"connection window, small",
			Config{MaxReceiveBufferPerConnection: 1},
			func(c core.Config) any { return c.ConnWindow },
			uint32(65535),
		},
		{
			"connection window, large",
			Config{MaxReceiveBufferPerConnection: math.MaxInt},
			func(c core.Config) any { return c.ConnWindow },
			uint32(1<<31 - 1),
		},
		{
			"stream window, small",
			Config{MaxReceiveBufferPerStream: 1},
			func(c core.Config) any { return c.StreamWindow },
			uint32(1),
		},
		{
			"stream window, large",
			Config{MaxReceiveBufferPerStream: math.MaxInt},
			func(c core.Config) any { return c.StreamWindow },
			uint32(1<<31 - 1),
		},
		{"growth, default", Config{}, func(c core.Config) any { return c.WindowGrowth }, uint32(16 << 20)},
		{
			"growth, chosen",
			Config{MaxReceiveBufferGrowth: 5, MaxReceiveBufferPerStream: 6},
			func(c core.Config) any { return c.WindowGrowth },
			uint32(5),
		},
		{"growth, none", Config{MaxReceiveBufferGrowth: -1}, func(c core.Config) any { return c.WindowGrowth }, uint32(0)},
		{
			"growth, stream window chosen",
			Config{MaxReceiveBufferPerStream: 6},
			func(c core.Config) any { return c.WindowGrowth },
			uint32(0),
		},
		{
			"growth, connection window chosen",
			Config{MaxReceiveBufferPerConnection: 6},
			func(c core.Config) any { return c.WindowGrowth },
			uint32(0),
		},
		{"preface, default", Config{}, func(c core.Config) any { return c.PrefaceTimeout }, 45 * time.Second},
		{"preface, none", Config{PrefaceTimeout: -1}, func(c core.Config) any { return c.PrefaceTimeout }, time.Duration(0)},
		{"idle, none", Config{IdleTimeout: -1}, func(c core.Config) any { return c.IdleTimeout }, time.Duration(0)},
		{"ping, none", Config{SendPingTimeout: -1}, func(c core.Config) any { return c.PingInterval }, time.Duration(0)},
	}
	for _, tt := range tests {
		cfg := tt.cfg
		if got := tt.got(cfg.core(core.Server)); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// watched is a scheduler that counts its streams.
type watched struct {
	priority.Scheduler
	mu     sync.Mutex
	opened int
}

func (w *watched) Open(n *priority.Node, p priority.Params) {
	w.mu.Lock()
	w.opened++
	w.mu.Unlock()
	w.Scheduler.Open(n, p)
}

func TestSchedulerIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watched{Scheduler: priority.NewRoundRobin()}
		p := newTestPeer(t, Config{Scheduler: func() priority.Scheduler { return w }})
		p.open(h2test.Get(1)).Release()
		if w.opened != 1 {
			t.Errorf("%d streams were opened", w.opened)
		}
	})
}

func TestAnnouncedSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{
			MaxConcurrentStreams: 7, MaxReceiveBufferPerStream: 1000, MaxHeaderBytes: 2000, MaxReadFrameSize: 20_000,
			MaxDecoderHeaderTableSize: 1, EnableConnectProtocol: true, MaxReceiveBufferPerConnection: 65535,
		}, memconn.Options{})
		p.want(
			"all of them, and no WINDOW_UPDATE",
			h2test.Settings(
				frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 7},
				h2test.InitialWindow(1000),
				frame.Setting{ID: frame.SettingMaxHeaderListSize, Value: 2000},
				frame.Setting{ID: frame.SettingMaxFrameSize, Value: 20_000},
				frame.Setting{ID: frame.SettingHeaderTableSize, Value: 1},
				frame.Setting{ID: frame.SettingEnableConnectProtocol, Value: 1},
			),
		)
	})
}

func TestOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Get(1))
		if st.Owner() != nil {
			t.Error("a new stream has an owner")
		}
		if err := st.SetOwner(t); err != nil {
			panic(err)
		}
		if st.Owner() != t {
			t.Error("the owner is another")
		}
		st.Release()
		for id := uint32(3); id < 20; id += 2 { // one of them has the memory
			st := p.open(h2test.Get(id))
			if st.Owner() != nil {
				t.Error("a new stream has an owner")
			}
			st.Release()
		}
	})
}

func TestDirectionString(t *testing.T) {
	if In.String() != "in" || Out.String() != "out" {
		t.Errorf("directions are called %v and %v", In, Out)
	}
}
