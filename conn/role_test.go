package conn

import (
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/h2test"
)

// What only a client's stream can do has no result, and no effect, on a server's.
func TestClientsMethodsOnServersStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Get(1))
		if st.OpenedBy() != nil || st.Promise() != nil || st.Unsent() {
			t.Error("a request was promised, or not sent")
		}
		st.Probe()
		_ = st.OnReceive(func(int) {})
		_, err := st.HeadContext(t.Context())
		check(t, "HeadContext", err)
		p.wantIdle("nothing was sent")
		check(t, "Reply", st.Reply(status2(204), nil, nil))
	})
}
