package capture

import (
	"fmt"
	"strings"

	"github.com/sluice-go/sluice/frame"
	h2 "github.com/sluice-go/sluice/internal/h2test"
)

// times does something n times, for new streams of the client.
func times(n int, do func(id uint32)) {
	for i := range uint32(n) {
		do(3 + 2*i)
	}
}

var attackCases = []ruleCase{
	{
		rule: "rapid-reset",
		breaks: func(p *script) {
			begin(p)
			times(manyResets+1, func(id uint32) { p.client(h2.Get(id), h2.RST(id, frame.Cancel)) })
		},
		want: "client 203: the client has reset 100 streams within a second, right after HEADERS",
		holds: func(p *script) {
			begin(p)
			times(2*manyResets, func(id uint32) {
				p.client(h2.Get(id)).server(h2.Response(id, 200)).client(h2.RST(id, frame.Cancel))
			})
		},
	},
	{
		rule: "made-you-reset",
		breaks: func(p *script) {
			begin(p)
			times(manyFaults+1, func(id uint32) {
				p.client(h2.Get(id)).server(h2.RST(id, frame.ProtocolError))
			})
		},
		want: "client 103: the server has reset 50 streams within 10 seconds for faults of the client",
		holds: func(p *script) {
			begin(p)
			times(2*manyFaults, func(id uint32) { p.client(h2.Get(id)).server(h2.RST(id, frame.NoError)) })
		},
	},
	{
		rule: "continuation-flood",
		breaks: func(p *script) {
			begin(p).client(frame.Headers{StreamID: 3})
			for range manyFragments {
				p.client(frame.Continuation{StreamID: 3})
			}
		},
		want: "client 3: a header block of 0 octets in 34 frames has not ended",
		holds: func(p *script) {
			begin(p).client(h2.Get(3, "a: "+long(2000)).Cut(150))
		},
	},
	{
		rule: "hpack-bomb",
		breaks: func(p *script) {
			b := h2.Get(3)
			for range bombFields {
				b = b.With("x: " + long(100))
			}
			begin(p).client(b)
		},
		want: "client 3: 1095 octets stand for 1004 fields of 133177 octets",
		holds: func(p *script) {
			b := h2.Get(3)
			for i := range 100 {
				b = b.With(fmt.Sprintf("x%d: ", i) + long(100))
			}
			begin(p).client(b)
		},
	},
	{
		rule:   "ping-flood",
		breaks: func(p *script) { begin(p); times(manyPings+1, func(uint32) { p.client(h2.Ping("")) }) },
		want:   "client 0: the client has sent 1000 PING frames within a second",
		holds:  func(p *script) { begin(p); times(manyPings-1, func(uint32) { p.client(h2.Ping("")) }) },
	},
	{
		rule:   "settings-flood",
		breaks: func(p *script) { begin(p); times(manySettings+1, func(uint32) { p.client(h2.Settings()) }) },
		want:   "client 0: the client has sent 100 SETTINGS frames within a second",
		holds:  func(p *script) { begin(p); times(manySettings-2, func(uint32) { p.client(h2.Settings()) }) },
	},
	{
		rule: "priority-flood",
		breaks: func(p *script) {
			begin(p)
			times(manyPriorities+1, func(uint32) { p.client(frame.Priority{StreamID: 3}) })
		},
		want:  "client 0: the client has sent 1000 PRIORITY frames within a second",
		holds: func(p *script) { begin(p); times(100, func(uint32) { p.client(frame.Priority{StreamID: 3}) }) },
	},
	{
		rule: "window-update-flood",
		breaks: func(p *script) {
			begin(p)
			times(manyUpdates+1, func(uint32) { p.client(h2.WindowUpdate(0, 1)) })
		},
		want: "client 0: the client has sent 1000 WINDOW_UPDATE frames within a second",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200))
			times(manyUpdates, func(uint32) {
				p.server(h2.Data(1, "content")).client(h2.WindowUpdate(0, 7), h2.WindowUpdate(1, 7))
			})
			// The second of WINDOW_UPDATE begins behind that of DATA.
			p.at(2000).server(h2.Data(1, "content")).at(2020)
			times(manyUpdates, func(uint32) {
				p.server(h2.Data(1, "content")).client(h2.WindowUpdate(0, 7), h2.WindowUpdate(1, 7))
			})
			p.at(3001).server(h2.Data(1, "content")).client(h2.WindowUpdate(0, 7))
		},
	},
	{
		rule: "empty-frames",
		breaks: func(p *script) {
			begin(p).server(h2.Response(1, 200))
			times(manyEmpty+1, func(uint32) { p.server(h2.Data(1, "")) })
		},
		want: "server 1: the server has sent 100 frames within a second that carry nothing",
		holds: func(p *script) {
			begin(p)
			times(manyEmpty+1, func(id uint32) { p.client(h2.Get(id)).server(h2.Response(id, 200), h2.DataEnd(id, "")) })
		},
	},
	{
		rule: "tiny-data",
		breaks: func(p *script) {
			begin(p).server(h2.Response(1, 200))
			times(manyTiny+1, func(uint32) { p.server(h2.Data(1, "x")) })
		},
		want: "server 1: the server has sent 1000 DATA frames of less than 9 octets within a second",
		holds: func(p *script) {
			begin(p).server(h2.Response(1, 200))
			times(manyTiny+1, func(uint32) { p.server(h2.Data(1, "ten octets")) })
		},
	},
	{
		rule: "slow-read",
		breaks: func(p *script) {
			ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000)).at(10500).client(h2.RST(1, frame.Cancel))
		},
		want: "client 1: the client has kept the stream window shut for 10.5s",
		holds: func(p *script) {
			ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000)).at(9000).client(h2.RST(1, frame.Cancel))
		},
	},
}

var noteCases = []ruleCase{
	{
		rule: "windows-small",
		breaks: func(p *script) {
			ask(p).client(h2.Get(3)).server(h2.Response(1, 200), h2.DataOf(1, 1000), h2.Response(3, 200), h2.DataOf(3, 1000))
			p.at(90).client(h2.WindowUpdate(1, 1000), h2.WindowUpdate(3, 1000)).server(h2.DataOf(1, 1000), h2.DataEnd(3, "x"))
			p.at(150).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "x"))
		},
		want: "client 0: the server had no window for 150ms in all, at most 90ms at once, since the client gave no credit; " +
			"SETTINGS_INITIAL_WINDOW_SIZE of the client is 1000",
		holds: func(p *script) {
			ask(p).server(h2.Response(1, 200), h2.DataOf(1, 1000))
			p.at(90).client(h2.WindowUpdate(1, 1000)).server(h2.DataEnd(1, "x"))
		},
	},
	{
		rule:   "headers-large",
		breaks: request("cookie: " + long(largeHeaders)),
		want:   "client 3: a header section of 16599 octets",
		holds:  request("cookie: " + long(100)),
	},
	{
		rule: "hpack-unused",
		breaks: func(p *script) {
			begin(p)
			times(manyBlocks, func(id uint32) { p.client(h2.Get(id, fmt.Sprint("x: ", id, strings.Repeat("~", 300)))) })
		},
		want: "client 0: 21 header sections of the client have 7085 octets, and 6221 in HPACK",
		holds: func(p *script) {
			begin(p)
			times(manyBlocks, func(id uint32) { p.client(h2.Get(id, "x: "+long(300))) })
		},
	},
	{
		rule:   "request-unanswered",
		breaks: func(p *script) { begin(p).client(h2.Get(3)).server(h2.Response(1, 200).End()) },
		want:   "server 3: the connection has ended, and the request on stream 3 has no response",
		holds: func(p *script) {
			begin(p).client(h2.Get(3)).server(h2.Response(1, 200).End(), h2.GoAway(1, frame.NoError, ""))
		},
	},
	{
		rule: "priority-without-use",
		breaks: func(p *script) {
			p.settle(h2.Settings(), setting(frame.SettingNoRFC7540Priorities, 1)).client(frame.Priority{StreamID: 1})
		},
		want:  "client 1: the client has sent PRIORITY, which the server ignores",
		holds: func(p *script) { begin(p).client(frame.Priority{StreamID: 1}) },
	},
}
