package core

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/stream/priority"
)

// fillOrder makes c fill its output and returns whose DATA are in it, one letter for 16 KiB begun.
func fillOrder(t *testing.T, c Driver, limit int) string {
	t.Helper()
	c.Fill(limit)
	var order strings.Builder
	for b := c.Output(nil); len(b) > 0; {
		h, _, n, err := frame.Split(b, frame.MaxMaxFrameSize)
		if err != nil {
			t.Fatal(err)
		}
		order.WriteByte("?A?B?C"[h.StreamID])
		b = b[n:]
	}
	return order.String()
}

var backpressureTests = []struct {
	name         string
	backpressure bool
	piece        int // what A, which is urgent, writes at a time
	// again has a letter for each Fill: A has more (+), or has not and is awaited no longer (-), or
	// was late (l).
	again string
	want  []string
}{
	{"quick", false, 32 << 10, "++", []string{"AABBBBC", "AABBBBC"}},
	{"slow", true, 32 << 10, "+++", []string{"AA", "AA", "AA"}},
	{"slow, and nothing comes", true, 32 << 10, "+--", []string{"AA", "BBBB", "BBBB"}},
	{"slow, and pieces are small", true, 4 << 10, "+++", []string{"A", "A", "A"}},
	{"slow, and nothing comes for a while", true, 32 << 10, "+-+", []string{"AA", "BBBB", "AA"}},
	{"slow, and what comes is late", true, 32 << 10, "+l++", []string{"AA", "BBBB", "AABBBB", "AA"}},
	{"late twice", true, 32 << 10, "+l++l++++", []string{
		"AA", "BBBB", "AABBBB", "AA", "BBBB", "AABBBB", "AABBBB", "AABBBB", "AA",
	}},
}

// Where the socket is slow a stream that is about to be given more keeps its turn, until it is no
// longer awaited: those behind it do not get the rest of the write.
func TestBackpressure(t *testing.T) {
	for _, tt := range backpressureTests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Server, func(cfg *Config) { cfg.Scheduler = priority.NewExtensible() })
			p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, 1<<30)), h2test.WindowUpdate(0, 1<<30))
			p.send(
				h2test.GetOpen(1, "priority: u=0"),
				h2test.GetOpen(3, "priority: u=5"),
				h2test.GetOpen(5, "priority: u=6"),
			)
			for _, id := range []uint32{1, 3, 5} {
				if err := p.c.SendHead(p.stream(id), ResponseHead{Fields: responseFields()}); err != nil {
					t.Fatal(err)
				}
			}
			p.c.Output(nil)
			p.c.SetBackpressure(tt.backpressure)
			give := func(id uint32, n int) {
				t.Helper()
				if s := p.stream(id); len(s.out.data) == 0 {
					if err := p.c.Queue(s, Content{Data: make([]byte, n)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, want := range tt.want {
				if tt.again[i] == '+' {
					give(1, tt.piece)
				}
				give(3, 64<<10)
				give(5, 64<<10)
				if tt.again[i] != '+' {
					if tt.again[i-1] == '+' && !p.c.Awaits() {
						t.Errorf("before Fill number %d A is not awaited", i+1)
					}
					p.c.StopAwaiting(waited(tt.again[i] == 'l'), time.Second)
				}
				if got := fillOrder(t, p.c, 96<<10+200); got != want {
					t.Errorf("Fill number %d brings %s, want %s", i+1, got, want)
				}
			}
		})
	}
}

// A stream that is awaited may end, be reset or have its window closed meanwhile.
func TestBackpressureOfStreamsThatEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		then func(p *peer)
	}{
		{"reset by the peer", func(p *peer) { p.send(h2test.RST(1, frame.Cancel)) }},
		{"reset by us", func(p *peer) { p.c.Reset(p.stream(1), frame.Cancel) }},
		{"ended", func(p *peer) { p.queue(1, 0, true) }},
		{"window closed", func(p *peer) { p.send(h2test.Settings(setting(frame.SettingInitialWindowSize, 0))) }},
		{"no longer slow", func(p *peer) { p.c.SetBackpressure(false) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPeer(t, Server, func(cfg *Config) { cfg.Scheduler = priority.NewExtensible() })
			p.send(h2test.GetOpen(1, "priority: u=0"), h2test.GetOpen(3))
			p.answer(1, false)
			p.answer(3, false)
			p.c.SetBackpressure(true)
			p.queue(1, 20_000, false)
			tt.then(p)
			p.outcome()
			if err := p.c.Queue(p.stream(3), Content{Data: make([]byte, 100), End: true}); err != nil {
				t.Fatal(err)
			}
			p.c.Fill(1 << 20)
			p.takeEvents()
			if n := len(p.stream(3).out.data); n != 0 && tt.name != "window closed" {
				t.Errorf("%d octets of the other stream wait", n)
			}
			wantAccounts(t, p.c)
		})
	}
}

// waited is the first argument of StopAwaiting where the second is a second.
func waited(late bool) time.Duration {
	if late {
		return time.Second
	}
	return 0
}
