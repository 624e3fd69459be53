package capture

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// Ten times 15 ms, and one, without window are no Stall, and are reported as what they cost.
func TestShortWaitsAreCounted(t *testing.T) {
	p := newScript(t, Options{})
	ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000))
	for i := range 10 {
		p.at(15 * (i + 1)).client(h2.WindowUpdate(1, 1000)).server(h2.DataOf(1, 1000))
	}
	p.at(151).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "x"))
	w := p.s.ledger.waits(1).Stream
	p.end(wire.Closed)
	if s := stalls(p); len(s) > 0 {
		t.Errorf("stalls of less than 20 ms: %q", s)
	}
	if w != 151*time.Millisecond {
		t.Errorf("the request has waited for its window for %v", w)
	}
	want := "windows-small client 0: the server had no window for 151ms in all, at most 15ms at once, " +
		"since the client gave no credit; SETTINGS_INITIAL_WINDOW_SIZE of the client is 1000"
	if got := findings(p, Note); len(got) != 1 || got[0] != want {
		t.Errorf("findings: %q, want %q", got, want)
	}
}
