package capture

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// sent are octets of a side.
type sent struct {
	d Dir
	p string
}

// frames are items as octets.
func frames(items ...any) string { return string(h2test.NewCodec().Append(nil, items...)) }

func TestFound(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	const upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: foo, h2c\r\n" +
		"HTTP2-Settings: AAMAAABk\r\n\r\n"
	start := frame.Preface + frames(h2test.Settings())
	proxyV2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + strings.Repeat("x", 12)
	for _, tt := range []struct {
		name    string
		missing bool
		sent    []sent
		want    string
	}{
		{"preface", false, []sent{{Client, start}}, "h2 by preface"},
		{"server first", false, []sent{{Server, frames(h2test.Settings())}, {Client, start}}, "h2 by preface"},
		{"preface in the midst", true, []sent{{Client, start}}, "h2 by preface"},
		{"cut preface", false, []sent{{Client, "PRI * HTTP/2.0\r\n"}}, "h2 by preface"},
		{"almost a preface", false, []sent{{Client, "PRI * HTTP/2.0\r\nHost: a\r\n\r\n"}}, "unknown"},
		{"PROXY, version 1", false, []sent{{Client, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + start}}, "h2 by preface"},
		{"PROXY, version 2", false, []sent{{Client, proxyV2 + start}}, "h2 by preface"},
		{"PROXY and HTTP/1.1", false, []sent{{Client, "PROXY UNKNOWN\r\n" + request}}, "http/1.1 by text"},
		{"PROXY, cut", false, []sent{{Client, "PROXY TCP4 192"}}, "unknown"},
		{"HTTP/1.1", false, []sent{{Client, request}, {Server, "HTTP/1.1 200 OK\r\n\r\n"}}, "http/1.1 by text"},
		{"HTTP/1.0", false, []sent{{Client, "\r\nHEAD /a b HTTP/1.0\r\n\r\n"}}, "http/1.1 by text"},
		{"extension method", false, []sent{{Client, "M-SEARCH * HTTP/1.1\r\n\r\n"}}, "http/1.1 by text"},
		{"a long line", false, []sent{{Client, "GET /" + strings.Repeat("a", maxFirstLine)}}, "unknown"},
		{"upgrade", false, []sent{{Client, upgrade}, {Server, "HTTP/1.1 101 Switching Protocols\r\n\r\n"}}, "h2 by upgrade"},
		{"upgrade refused", false, []sent{{Client, upgrade}, {Server, "HTTP/1.1 200 OK\r\n\r\n"}}, "http/1.1 by text"},
		{"upgrade unanswered", false, []sent{{Client, upgrade}}, "http/1.1 by text"},
		{"RTSP", false, []sent{{Client, "OPTIONS rtsp://a RTSP/1.0\r\n\r\n"}}, "unknown"},
		{"SSH", false, []sent{{Server, "SSH-2.0-a\r\n"}, {Client, "SSH-2.0-b\r\n"}}, "unknown"},
		{"SMTP", false, []sent{{Server, "220 a\r\n"}, {Client, "EHLO b\r\n"}}, "unknown"},
		{"server alone", false, []sent{{Server, "220 a\r\n"}}, "unknown"},
		{"responses alone", true, []sent{{Server, "HTTP/1.1 200 OK\r\n\r\n"}}, "http/1.1 by text start missing"},
		{"zeros", true, []sent{{Server, strings.Repeat("\x00", maxView)}}, "unknown start missing"},
		{"text", true, []sent{{Server, strings.Repeat("lorem ipsum ", maxView/12)}}, "unknown start missing"},
		{"frames", true, []sent{
			{Server, strings.Repeat("x", 3000) + frames(h2test.DataOf(7, 100), h2test.DataOf(9, 16384), h2test.DataOf(7, 5),
				h2test.Ping("a"))},
		}, "h2 by frames start missing"},
		{"few frames of one side", true, []sent{
			{Client, frames(h2test.WindowUpdate(0, 9), h2test.WindowUpdate(3, 9))},
		}, "h2 by frames start missing"},
		{
			"a frame at the end", true,
			[]sent{{Client, "xx" + frames(h2test.WindowUpdate(0, 9))}},
			"h2 by frames start missing",
		},
	} {
		f := newFeed(Options{})
		f.s.info.StartMissing = tt.missing
		f.show = func(e Event) string {
			if c, ok := e.(*Connection); ok {
				return strings.TrimPrefix(connectionLine(c), "connection 1 ")
			}
			return ""
		}
		whole := f.lines
		for _, size := range []int{1 << 20, 1} {
			if size == 1 {
				f.s = f.a.open(f.s.info.Client, f.s.info.Server, f.now())
				f.s.info.ID, f.s.info.StartMissing = 1, tt.missing
			}
			for _, s := range tt.sent {
				f.packets(s.d, size, s.p)
			}
			f.end()
			whole, f.lines = append(whole, f.lines...), nil
		}
		if d := cmp.Diff([]string{tt.want, tt.want}, whole); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
}

// A client whose first octets are lost is found by what the server says.
func TestFoundAfterLoss(t *testing.T) {
	f := newFeed(Options{})
	f.lost(Client, 58)
	f.send(Server, h2test.Settings(), h2test.Ack, h2test.Response(1, 200).End())
	f.send(Client, h2test.Ack, h2test.Get(3))
	f.end()
	f.want(t,
		"connection 1 h2 by frames",
		"server 2-2 SETTINGS stream=0 len=0",
		"server 2-2 SETTINGS stream=0 flags=ACK len=0",
		"server 2-2 HEADERS stream=1 flags=END_STREAM|END_HEADERS len=1 :status=200",
		"gap client 58+0 lost: 58 octets of the client are not in the capture",
		"client 3-3 SETTINGS stream=0 flags=ACK len=0",
		"client 3-3 HEADERS stream=3 flags=END_STREAM|END_HEADERS len=13"+
			" :method=GET :scheme=https :authority=example.com :path=/",
		"end 1 closed, 5 frames, octets [31 28], lost [58 0]",
	)
}

// An Upgrade to h2c has its request on stream 1, and the settings of its HTTP2-Settings.
func TestUpgrade(t *testing.T) {
	f := newFeed(Options{})
	f.show = func(e Event) string {
		switch e := e.(type) {
		case *Message:
			return "message " + e.Dir.String() + " " + e.Line
		case *Request:
			return strings.Join([]string{"request", e.Method, e.Path, e.Version}, " ")
		}
		return eventLine(e)
	}
	f.send(Client, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"+
		"HTTP2-Settings: AAEAAAAA\r\n\r\n")
	f.send(Server, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
	f.codec[Server].Encoder().SetMaxDynamicTableSizeLimit(0)
	f.send(Server, h2test.Settings(), h2test.Response(1, 200, "x: y"), h2test.DataEnd(1, "z"))
	f.send(Client, frame.Preface, h2test.Settings())
	f.end()
	f.want(t,
		"connection 1 h2 by upgrade",
		"message client GET /x HTTP/1.1",
		"message server HTTP/1.1 101 Switching Protocols",
		"server 3-3 SETTINGS stream=0 len=0",
		"server 3-3 HEADERS stream=1 flags=END_HEADERS len=7 :status=200 x=y",
		"server 3-3 DATA stream=1 flags=END_STREAM len=1",
		"request GET /x HTTP/2",
		"client 4-4 SETTINGS stream=0 len=0",
		"end 1 closed, 4 frames, octets [138 106], lost [0 0]",
	)
	if f.s.how != wire.Closed {
		t.Errorf("it has ended as %v", f.s.how)
	}
}
