package core

import (
	"slices"
	"testing"

	"github.com/sluice-go/sluice/frame"
)

// settingsSent returns the identifiers of our SETTINGS, in order.
func settingsSent(t *testing.T, cfg Config) (ids []frame.SettingID) {
	t.Helper()
	c := New(cfg).Driver()
	c.Start(epoch)
	b := c.Output(nil)
	if cfg.Role == Client {
		b = b[len(frame.Preface):]
	}
	h, payload, _, err := frame.Split(b, frame.MinMaxFrameSize)
	if err != nil {
		t.Fatal(err)
	}
	f, err := frame.ParseSettings(h, payload)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Len() {
		ids = append(ids, f.At(i).ID)
	}
	return ids
}

func TestSettingsOrder(t *testing.T) {
	const (
		table   = frame.SettingHeaderTableSize
		push    = frame.SettingEnablePush
		streams = frame.SettingMaxConcurrentStreams
		window  = frame.SettingInitialWindowSize
		size    = frame.SettingMaxFrameSize
		list    = frame.SettingMaxHeaderListSize
		connect = frame.SettingEnableConnectProtocol
	)
	for _, tt := range []struct {
		name  string
		role  Role
		order []frame.SettingID
		want  []frame.SettingID
	}{
		{"none", Client, nil, []frame.SettingID{push, window, list}},
		{
			"all", Client,
			[]frame.SettingID{table, push, streams, window, size, list},
			[]frame.SettingID{table, push, streams, window, size, list},
		},
		{"some first", Server, []frame.SettingID{list, window}, []frame.SettingID{list, window, streams}},
		{"twice", Server, []frame.SettingID{size, size, streams, size}, []frame.SettingID{size, streams, window, list}},
		{"not ours", Server, []frame.SettingID{connect, push, 0x99, streams}, []frame.SettingID{streams, window, list}},
	} {
		cfg := testConfig(tt.role)
		cfg.SettingsOrder = tt.order
		got := settingsSent(t, cfg)
		// Settings that other tests are about may stand behind those.
		if len(got) < len(tt.want) || !slices.Equal(got[:len(tt.want)], tt.want) {
			t.Errorf("%s: sent %v, want %v", tt.name, got, tt.want)
		}
	}
}

// What is sent without a meaning must be without one, for every seed.
func TestGrease(t *testing.T) {
	seen := map[frame.Type]bool{}
	for i := range uint64(200) {
		seed := (i + 1) * 0x9e3779b97f4a7c15
		cfg := testConfig(Client)
		cfg.Grease = seed
		ids := settingsSent(t, cfg)
		if id := ids[len(ids)-1]; id&0x0f0f != 0x0a0a {
			t.Fatalf("setting %v is not one of those that mean nothing", id)
		}
		p := newSilentPeer(t, Server, func(c *Config) { c.Grease = seed })
		p.out = nil
		p.greet()
		p.send(frame.NewSettings()) // a second time
		b := New(cfg).Driver()
		b.Start(epoch)
		out := b.Output(nil)[len(frame.Preface):]
		for len(out) > 0 {
			h, _, n, err := frame.Split(out, frame.MinMaxFrameSize)
			if err != nil || n == 0 {
				t.Fatal(err)
			}
			if h.Type >= 0x0b {
				if (h.Type-0x0b)%0x1f != 0 || h.StreamID != 0 {
					t.Fatalf("%v is not one of the frames that mean nothing", h)
				}
				seen[h.Type] = true
			}
			out = out[n:]
		}
		p.alive("the peer's SETTINGS")
		if len(p.out) != 3 {
			t.Fatalf("SETTINGS twice: sent %q, want two acknowledgements and one frame that means nothing", p.out)
		}
	}
	if len(seen) != 8 {
		t.Errorf("%d types of frame were used, want all 8", len(seen))
	}
}
