package capture

import (
	"testing"

	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// 0-RTT data that the server rejects is sent again: HTTP/2 begins as if it had not been there.
func TestEarlyDataRejected(t *testing.T) {
	f := newFeed(Options{})
	p := &plaintext{s: f.s, finder: newFinder(f.s)}
	p.finder.inTLS = true
	p.to = p.finder
	f.s.plain = p
	p.Handshake(tlsrecord.Info{ALPN: "h2"})
	p.Undecrypted(tlsrecord.Rejected, wire.Client, f.now(), 200)
	p.Octets(wire.Client, f.now(), f.octets(Client, frame.Preface, h2test.Settings(), h2test.Get(1, "a: b")))
	p.Octets(wire.Client, f.now(), f.octets(Client, h2test.Get(3, "a: b")))
	p.End(wire.Client, f.now(), wire.Closed)
	p.End(wire.Server, f.now(), wire.Closed)
	f.want(t,
		"connection 1 h2 by alpn",
		"gap client 200+0 undecrypted: 200 octets of the client, as they are encrypted, cannot be read: "+
			tlsrecord.Rejected,
		"client 0-0 SETTINGS stream=0 len=0",
		"client 0-0 HEADERS stream=1 flags=END_STREAM|END_HEADERS len=18"+
			" :method=GET :scheme=https :authority=example.com :path=/ a=b",
		"client 0-0 HEADERS stream=3 flags=END_STREAM|END_HEADERS len=5"+
			" :method=GET :scheme=https :authority=example.com :path=/ a=b",
	)
}
