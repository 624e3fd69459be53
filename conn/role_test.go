package conn

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// What only a client's connection can do fails on a server's with an error that says so, or does
// nothing, and leaves the connection as it is.
func TestClientsMethodsOnServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTestPeer(t, core.Server, Config{}, memconn.Options{})
		c := p.c
		c.OnQuota(func() { t.Error("the function of OnQuota was called") })
		p.serve()
		for name, f := range map[string]func() error{
			"Reserve":      c.Reserve,
			"ReserveFirst": func() error { return c.ReserveFirst(1) },
			"OpenRequest":  func() error { _, err := c.OpenRequest(&Request{}); return err },
			"OpenStream":   func() error { _, err := c.OpenStream(nil, true); return err },
			"AwaitSettings, before they have come": func() error {
				_, err := c.AwaitSettings(t.Context())
				return err
			},
		} {
			if err := f(); !errors.Is(err, errNotClient) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if taken, free := c.Quota(); taken != 0 || free != 0 {
			t.Errorf("Quota: %d taken, %d free", taken, free)
		}
		p.greet()
		if _, err := c.AwaitSettings(t.Context()); err != nil {
			t.Errorf("AwaitSettings: %v", err)
		}
		st := p.open(h2test.Get(1))
		if st.OpenedBy() != nil || st.Promise() != nil || st.Unsent() {
			t.Error("a request was promised, or not sent")
		}
		st.Probe()
		_ = st.OnReceive(func(int) {})
		_, err := st.HeadContext(t.Context())
		check(t, "HeadContext", err)
		check(t, "Reply", st.Reply(status2(204), nil, nil))
		if !c.ShutdownUnreserved(false) {
			t.Error("ShutdownUnreserved has done nothing")
		}
	})
}
