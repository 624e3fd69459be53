package conn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// policyLog is a FramePolicy that counts, and answers as it is told.
type policyLog struct {
	mu      sync.Mutex
	seen    []string
	verdict func(h frame.Header) error
}

func (l *policyLog) judge(_ *Conn, h frame.Header, payload []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, fmt.Sprintf("%v %d %d", h.Type, h.StreamID, len(payload)))
	if l.verdict == nil {
		return nil
	}
	return l.verdict(h)
}

func (l *policyLog) set(f func(frame.Header) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdict = f
}

// answers returns a verdict for frames of one type.
func answers(t frame.Type, err error) func(frame.Header) error {
	return func(h frame.Header) error {
		if h.Type == t {
			return err
		}
		return nil
	}
}

func TestFramePolicySeesEveryFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l policyLog
		p := startTestPeer(t, core.Server, Config{FramePolicy: l.judge}, memconn.Options{})
		p.send(h2test.Raw(frame.Preface[:10]))
		p.send(
			h2test.Raw(frame.Preface[10:]),
			h2test.Settings(),
			h2test.Ack,
			h2test.Post(1),
			h2test.Data(1, "hello"),
			h2test.Ping("12345678"),
		)
		want := []string{"SETTINGS 0 0", "SETTINGS 0 0", "HEADERS 1", "DATA 1 5", "PING 0 8"}
		for i, w := range want {
			if i >= len(l.seen) || !strings.HasPrefix(l.seen[i], w) {
				t.Fatalf("the policy saw %q, want %q", l.seen, want)
			}
		}
	})
}

func TestFramePolicyDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l policyLog
		p := newTestPeer(t, Config{FramePolicy: l.judge})
		l.set(answers(frame.TypePing, ErrDropFrame))
		p.send(h2test.Ping("12345678"))
		p.want("a PING that is dropped is not answered")
		l.set(answers(frame.TypeHeaders, fmt.Errorf("not now: %w", ErrDropFrame)))
		p.send(h2test.Post(1))
		p.want("a request that is dropped", h2test.RST(1, frame.RefusedStream))
		if len(p.h.streams) != 0 {
			t.Error("the handler was given a request that was dropped")
		}
		l.set(nil)
		p.open(h2test.Post(3))
		l.set(answers(frame.TypeData, &frame.StreamError{Code: frame.Cancel}))
		p.send(h2test.Data(3, "hello"))
		p.want("a stream error", h2test.RST(3, frame.Cancel))
		p.wantIdle("the connection goes on")
	})
}

func TestFramePolicyEndsTheConnection(t *testing.T) {
	secret := errors.New("tenant 17 has no budget left")
	for _, tt := range []struct {
		err  error
		code frame.Code
	}{
		{secret, frame.EnhanceYourCalm},
		{&frame.ConnError{Code: frame.InadequateSecurity, Cause: secret}, frame.InadequateSecurity},
	} {
		synctest.Test(t, func(t *testing.T) {
			var l policyLog
			l.verdict = answers(frame.TypePriority, tt.err)
			p := newTestPeer(t, Config{FramePolicy: l.judge})
			p.send(frame.Priority{StreamID: 1}, h2test.Ping("not seen"))
			got := slices.Collect(p.frames())
			if len(got) != 1 {
				t.Fatalf("sent %v, want GOAWAY", got)
			}
			g, ok := got[0].(frame.GoAway)
			if !ok || g.Code != tt.code || strings.Contains(string(g.DebugData), "tenant") {
				t.Errorf("sent %v with %q", got[0], g.DebugData)
			}
			p.wantEOF("after GOAWAY")
			_ = p.nc.Close()
			if err := p.wantServed("the end"); !errors.Is(err, secret) || !errors.Is(err, tt.code) {
				t.Errorf("Serve returned %v", err)
			}
			if n := len(l.seen); !strings.HasPrefix(l.seen[n-1], "PRIORITY") {
				t.Errorf("the policy was asked after the end: %q", l.seen)
			}
		})
	}
}

// Padding, greasing and another order of settings are nothing to a peer that keeps to the rules.
func TestPaddedAndGreased(t *testing.T) {
	for name, padding := range map[string]core.PaddingFunc{
		"none": nil, "to 255": PadTo(255), "to 64": PadTo(64), "to 1": PadTo(1), "random": PadRandom(1000),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l frameLog
				cfg := Config{
					Padding: padding, Grease: true, Tracer: &l,
					SettingsOrder: []frame.SettingID{frame.SettingMaxHeaderListSize, frame.SettingHeaderTableSize},
				}
				cn, sn := testEnds(t, memconn.Options{MaxRead: 1000})
				pair := newPair(t, cn, sn, cfg, cfg, echo)
				for i := range 20 {
					pair.roundTrip(pattern(uint32(i), i*3000))
				}
				pair.wantClean()
			})
		})
	}
}

func TestPadTo(t *testing.T) {
	for _, multiple := range []int{2, 3, 64, 255} {
		pad := PadTo(multiple)
		for n := range 2000 {
			size := n
			if k := pad(frame.Header{Length: uint32(n)}); k < 0 || k > 255 {
				t.Fatalf("PadTo(%d) of %d octets is %d", multiple, n, k)
			} else if k > 0 {
				size += 1 + k
			}
			if size%multiple != 0 {
				t.Fatalf("PadTo(%d) makes %d octets of %d", multiple, size, n)
			}
		}
	}
	for n := range 300 {
		if k := PadRandom(20)(frame.Header{Length: uint32(n)}); k < 0 || k > 20 {
			t.Fatalf("PadRandom(20) is %d", k)
		}
	}
}
