package conformance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// HPACK octets that stand for a whole field (RFC 7541 §6.1, Appendix A).
const (
	newestEntry = 0x80 | 62 // of the dynamic table
	emptyCookie = 0x80 | 32 // of the static table
)

// wantRefusedRequests sends n requests whose header blocks end with many references, of one octet
// each, to a table entry, and requires that none reaches the handler: each is answered with 431 or
// reset, or the connection is closed.
func wantRefusedRequests(t *testing.T, n int, entry hpack.HeaderField, reference byte, references int) {
	t.Helper()
	ls, g := startGate(t)
	refs := bytes.Repeat([]byte{reference}, references)
	p := dialRaw(t, ls).greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 0})
	before := liveHeap()
	done := p.flood(n, func(i int) {
		id := uint32(2*i + 1)
		block := p.codec.Block(p.request("GET", "/block")...)
		if i == 0 {
			block = append(block, p.codec.Block(entry)...) // into the table; the request's own fields came before it
		}
		block = append(block, refs...)
		first := min(len(block), frame.MinMaxFrameSize)
		p.add(frame.Headers{StreamID: id, EndStream: true, EndHeaders: first == len(block), Fragment: block[:first]})
		for rest := block[first:]; len(rest) > 0; {
			k := min(len(rest), frame.MinMaxFrameSize)
			p.add(frame.Continuation{StreamID: id, EndHeaders: k == len(rest), Fragment: rest[:k]})
			rest = rest[k:]
		}
	})
	verdicts := map[uint32]string{} // by stream
	for gone := false; len(verdicts) < n && !gone; {
		f, err := p.next()
		if err != nil {
			t.Errorf("after %d of %d verdicts: %v", len(verdicts), n, err)
			break
		}
		switch f := f.(type) {
		case frame.RSTStream:
			verdicts[f.StreamID] = f.Code.String()
		case frame.Headers:
			verdicts[f.StreamID] = p.status(f)
		case frame.GoAway:
			gone = true
			if f.Code != frame.EnhanceYourCalm && f.Code != frame.CompressionError {
				t.Errorf("the server sent %v (%q)", f, f.DebugData)
			}
		}
	}
	<-done
	wantHeap(t, before, 10<<20)
	if started := g.started.Load(); started != 0 {
		t.Errorf("%d of %d requests reached the handler", started, n)
	}
	for id, v := range verdicts {
		if v != "431" && v != frame.EnhanceYourCalm.String() {
			t.Errorf("stream %d was answered with %s, want 431 or ENHANCE_YOUR_CALM", id, v)
		}
	}
	p.nc.Close()
	wantAlive(t, ls)
}

// HPACK bomb (CVE-2016-6581): one octet on the wire stands for a field of four kilobytes.
func TestHostileHPACKBomb(t *testing.T) {
	wantRefusedRequests(t, 1, h2test.Field("x", strings.Repeat("a", 4000)), newestEntry, 16000)
}

// HTTP/2 bomb (CVE-2026-49975, CVE-2026-47774): fields so small that a limit in octets is far away,
// cookie crumbs which are joined only later, on many streams that a window of zero keeps alive.
func TestHostileCookieBomb(t *testing.T) {
	tests := []struct {
		entry     hpack.HeaderField
		reference byte
	}{
		{h2test.Field("cookie", "a"), newestEntry},
		{h2test.Field("cookie", ""), emptyCookie},
		{h2test.Field("x", ""), newestEntry},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s=%q", tt.entry.Name, tt.entry.Value), func(t *testing.T) {
			wantRefusedRequests(t, 100, tt.entry, tt.reference, 30000)
		})
	}
}

// A cache of canonical names that grows with what peers send (CVE-2022-41717) would keep these for
// ever.
func TestHostileDistinctNames(t *testing.T) {
	ls, _ := startGate(t)
	p := dialRaw(t, ls).greet().add(frame.WindowUpdate{Increment: 1 << 30})
	before := liveHeap()
	for i := range 10_000 {
		name := fmt.Sprintf("x-%d-%s", i, strings.Repeat("n", 8000))
		// Not indexed, so that the encoder's table does not hide the names from the server.
		block := p.codec.Block(p.request("GET", "/")...)
		block = append(block, 0)
		block = hpack.AppendHuffmanString(appendLength(block, 0x80, hpack.HuffmanEncodeLength(name)), name)
		block = append(block, 1, 'v')
		p.add(frame.Headers{StreamID: uint32(2*i + 1), EndStream: true, EndHeaders: true, Fragment: block})
		if i%100 < 99 {
			continue
		}
		p.mustFlush()
		ended := 0
		p.until("100 responses", func(f frame.Frame) bool {
			if f.FrameHeader().Flags.Has(frame.FlagEndStream) && f.FrameHeader().StreamID > 0 {
				ended++
			}
			return ended == 100
		})
	}
	wantHeap(t, before, 8<<20)
}

// appendLength appends n as the seven-bit prefixed integer of a string's length (RFC 7541 §5.1).
func appendLength(b []byte, flag byte, n uint64) []byte {
	if n < 127 {
		return append(b, flag|byte(n))
	}
	b = append(b, flag|127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// Bodies that fill their windows on streams that are then reset, while the handlers hold them
// unread: the connection's window comes back with each reset, and what is held must still be
// bounded.
func TestHostileUnreadBodies(t *testing.T) {
	ls, g := startGate(t, unlimitedResets)
	p := dialRaw(t, ls).greet()
	before := liveHeap()
	chunk := make([]byte, frame.MinMaxFrameSize)
	credit := int64(frame.DefaultWindow) // of the connection; a stream has at least as much
	// Writing and reading alternate, so that the flood keeps to the windows that the server gives.
	streams, sent := 0, 0
	for ; streams < 400; streams++ {
		id := uint32(2*streams + 1)
		p.headers(id, false, p.request("POST", "/block")...)
		for range 31 { // just below the stream's window
			if credit < int64(len(chunk)) {
				break
			}
			p.add(frame.Data{StreamID: id, Data: chunk})
			credit -= int64(len(chunk))
			sent += len(chunk)
		}
		if p.flush() != nil {
			break // the server has had enough
		}
		running := min(int64(streams+1), defaultMaxStreams)
		eventually(t, "the handler holds the body", func() bool { return g.running.Load() >= running })
		p.add(frame.RSTStream{StreamID: id, Code: frame.Cancel}, frame.Ping{}).flush()
		granted, ok := p.creditUntilPing()
		if !ok {
			break
		}
		credit += granted
	}
	t.Logf("%d MiB were sent on %d streams, %d handlers ran", sent>>20, streams, g.most.Load())
	g.wantAtMost(t, defaultMaxStreams)
	wantHeap(t, before, 32<<20)
	p.nc.Close()
	wantAlive(t, ls)
}

// creditUntilPing reads up to the answer to PING and adds up what the server gives to the
// connection's window.
func (p *rawPeer) creditUntilPing() (granted int64, ok bool) {
	for {
		f, err := p.next()
		if err != nil {
			return granted, false
		}
		switch f := f.(type) {
		case frame.WindowUpdate:
			if f.StreamID == 0 {
				granted += int64(f.Increment)
			}
		case frame.Ping:
			return granted, true
		case frame.GoAway:
			return granted, false
		}
	}
}

// A request for much, by a peer that never opens its windows: the responses are not buffered
// without bound.
func TestHostileZeroWindowMemory(t *testing.T) {
	ls := startServer(t, false, testHandler())
	p := dialRaw(t, ls).greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 0})
	bigBody() // made once, before the measurement
	before := liveHeap()
	for i := range 100 {
		p.get(uint32(2*i+1), "/big")
	}
	p.mustFlush()
	heads := 0
	p.until("100 heads", func(f frame.Frame) bool {
		if _, ok := f.(frame.Headers); ok {
			heads++
		}
		return heads == 100
	})
	p.sync()
	wantHeap(t, before, 10<<20) // of 1000 MiB that were asked for
	p.nc.Close()
	wantAlive(t, ls)
}
