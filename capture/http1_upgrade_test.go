package capture

import (
	"strings"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// An Upgrade to h2c behind other requests begins a connection of its own, which has the request.
func TestLaterUpgrade(t *testing.T) {
	f := newFeed(Options{})
	f.show = func(e Event) string {
		switch e := e.(type) {
		case *Message:
			return ""
		case *Request:
			return strings.Join([]string{"request", e.Method, e.Path, e.Version}, " ")
		}
		return eventLine(e)
	}
	f.send(Client, h2test.Raw("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"))
	f.send(Server, h2test.Raw("HTTP/1.1 204 No Content\r\n\r\n"))
	f.send(Client, h2test.Raw("GET /2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"+
		"HTTP2-Settings: AAEAAAAA\r\n\r\n"))
	f.send(Server, h2test.Raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
	f.send(Client, h2test.Raw(frame.Preface), h2test.Settings())
	f.send(Server, h2test.Settings(), h2test.Response(1, 200).End())
	f.end()
	f.want(t,
		"connection 1 http/1.1 by text",
		"request GET /1 HTTP/1.1",
		"connection 2 h2 by upgrade in 1 stream 2",
		"client 5-5 SETTINGS stream=0 len=0",
		"server 6-6 SETTINGS stream=0 len=0",
		"server 6-6 HEADERS stream=1 flags=END_STREAM|END_HEADERS len=1 :status=200",
		"request GET /2 HTTP/2",
		"end 2 closed, 3 frames, octets [33 19], lost [0 0]",
		"end 1 closed, 0 frames, octets [166 117], lost [0 0]",
	)
}
