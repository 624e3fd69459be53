package conformance

import (
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Frames that cost the peer next to nothing and the server an answer, or the work of looking at
// them: each kind is sent without end, and the server ends the connection with ENHANCE_YOUR_CALM.
func TestHostileFloods(t *testing.T) {
	const stream = 1 // open, its request answered only when the test ends
	setting := frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20}
	tests := []struct {
		name  string
		n     int
		round func(p *rawPeer, i int)
	}{
		{"PING (CVE-2019-9512)", 20_000, func(p *rawPeer, i int) { p.add(frame.Ping{}) }},
		{"PING answers to no PING", 20_000, func(p *rawPeer, i int) { p.add(frame.Ping{Ack: true}) }},
		{"SETTINGS (CVE-2019-9515)", 20_000, func(p *rawPeer, i int) { p.out = frame.AppendSettings(p.out, setting) }},
		{"empty SETTINGS", 20_000, func(p *rawPeer, i int) { p.out = frame.AppendSettings(p.out) }},
		{"SETTINGS acknowledgements", 20_000, func(p *rawPeer, i int) { p.out = frame.AppendSettingsAck(p.out) }},
		{"PRIORITY (CVE-2019-9513)", 100_000, func(p *rawPeer, i int) {
			p.add(frame.Priority{
				StreamID:      uint32(2*i + 3),
				PriorityParam: frame.PriorityParam{DependsOn: uint32(2*i + 1), Weight: 15},
			})
		}},
		{"PRIORITY in a ring", 100_000, func(p *rawPeer, i int) {
			id := uint32(2*(i%3) + 1)
			p.add(frame.Priority{StreamID: id, PriorityParam: frame.PriorityParam{DependsOn: id%5 + 2, Exclusive: true}})
		}},
		{"PRIORITY_UPDATE", 20_000, func(p *rawPeer, i int) {
			p.add(frame.PriorityUpdate{PrioritizedID: stream, Value: []byte("u=1")})
		}},
		{"empty DATA (CVE-2019-9518)", 200, func(p *rawPeer, i int) { p.add(frame.Data{StreamID: stream}) }},
		{"DATA of padding alone", 2000, func(p *rawPeer, i int) {
			p.add(frame.Data{StreamID: stream, Padded: true, PadLength: 10})
		}},
		{"WINDOW_UPDATE on the connection", 20_000, func(p *rawPeer, i int) { p.add(frame.WindowUpdate{Increment: 1}) }},
		{"WINDOW_UPDATE on a stream", 20_000, func(p *rawPeer, i int) {
			p.add(frame.WindowUpdate{StreamID: stream, Increment: 1})
		}},
		{"unknown frames", 20_000, func(p *rawPeer, i int) { p.add(frame.Unknown{Header: frame.Header{Type: 0xbe}}) }},
		{"GOAWAY", 20_000, func(p *rawPeer, i int) { p.add(frame.GoAway{}) }},
		{"empty CONTINUATION (CVE-2026-33871)", 100, func(p *rawPeer, i int) {
			if i == 0 {
				p.add(frame.Headers{StreamID: stream + 2, EndStream: true})
			}
			p.add(frame.Continuation{StreamID: stream + 2})
		}},
		{"one-octet CONTINUATION", 1000, func(p *rawPeer, i int) {
			if i == 0 {
				p.add(frame.Headers{StreamID: stream + 2, EndStream: true})
			}
			p.add(frame.Continuation{StreamID: stream + 2, Fragment: []byte{0x82}})
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ls, _ := startGate(t)
			before := liveHeap()
			p := dialRaw(t, ls).greet()
			p.headers(stream, false, p.request("POST", "/block")...)
			done := p.flood(tt.n, func(i int) { tt.round(p, i) })
			p.wantEnd(frame.EnhanceYourCalm)
			p.nc.Close()
			<-done
			wantHeap(t, before, 4<<20)
			wantAlive(t, ls)
		})
	}
}

// CONTINUATION without end (VU#421644, CVE-2023-45288): nothing is decoded, let alone kept, beyond
// the limits.
func TestHostileContinuationFlood(t *testing.T) {
	ls, g := startGate(t)
	before := liveHeap()
	p := dialRaw(t, ls).greet()
	// 16 KiB of fields with Huffman-coded values: what makes the decoder work most for an octet on
	// the wire.
	var fragment []byte
	for value := string(make([]byte, 0, 4000)); len(fragment) < 15<<10; {
		value += "aeiou0123456789"
		fragment = append(fragment, p.codec.Block(h2test.Field("x-flood", value))...)
	}
	fragment = fragment[:min(len(fragment), frame.MinMaxFrameSize)]
	head := p.codec.Block(p.request("GET", "/block")...)
	written := p.flood(1000, func(i int) {
		if i == 0 {
			p.add(frame.Headers{StreamID: 1, EndStream: true, Fragment: head})
		}
		p.add(frame.Continuation{StreamID: 1, Fragment: fragment})
	})
	p.wantEnd(frame.EnhanceYourCalm, frame.CompressionError)
	p.nc.Close()
	// What is beyond the limit was written to the sockets' buffers, not read.
	if n := <-written; n == 1000 {
		t.Log("the whole flood fitted into the sockets' buffers")
	}
	if n := g.started.Load(); n != 0 {
		t.Error("the request reached the handler")
	}
	wantHeap(t, before, 2<<20)
	wantAlive(t, ls)
}

// One SETTINGS frame with a thousand entries is legal by size; what it asks for is nonsense.
func TestHostileLongSettings(t *testing.T) {
	ls, _ := startGate(t)
	p := dialRaw(t, ls).greet()
	entries := make([]frame.Setting, 1000)
	for i := range entries {
		entries[i] = frame.Setting{ID: frame.SettingInitialWindowSize, Value: uint32(i)}
	}
	p.out = frame.AppendSettings(p.out, entries...)
	p.mustFlush()
	p.wantEnd(frame.EnhanceYourCalm)
	wantAlive(t, ls)
}

// DATA octet by octet, without a reader: bookkeeping that outweighs the data is bounded. The same
// read as it comes is a fast typist, and served for as long as it goes on.
func TestHostileTinyData(t *testing.T) {
	const octets = 60_000 // within the first window of 65535, so flow control does not help
	one := frame.Data{StreamID: 1, Data: []byte("x")}
	t.Run("unread", func(t *testing.T) {
		ls, _ := startGate(t)
		before := liveHeap()
		p := dialRaw(t, ls).greet()
		p.headers(1, false, p.request("POST", "/block")...)
		done := p.flood(octets, func(int) { p.add(one) })
		p.wantEnd(frame.EnhanceYourCalm)
		p.nc.Close()
		<-done
		wantHeap(t, before, 8<<20)
		wantAlive(t, ls)
	})
	t.Run("read", func(t *testing.T) {
		ls, g := startGate(t)
		p := dialRaw(t, ls).greet()
		p.headers(1, false, p.request("POST", "/read")...)
		const batch = octets / 10
		for sent := int64(0); sent < 5*octets; {
			for range batch {
				p.add(one)
			}
			p.mustFlush()
			sent += batch
			eventually(t, "the handler has read what was sent", func() bool { return g.read.Load() >= sent })
			p.sync() // takes in the credit that came back: it keeps up with what is read
		}
		p.add(frame.Data{StreamID: 1, EndStream: true}).mustFlush()
		p.until("the response", func(f frame.Frame) bool {
			h, ok := f.(frame.Headers)
			return ok && p.status(h) == "200"
		})
	})
}
