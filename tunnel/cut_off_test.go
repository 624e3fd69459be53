package tunnel

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// TestForwardCutOff has origins end their connection within the content: no client takes what has
// come for all of it.
func TestForwardCutOff(t *testing.T) {
	for name, response := range map[string]string{
		"length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	} {
		for _, way := range forwardWays {
			t.Run(name+"/"+way, func(t *testing.T) {
				origin := tcpOrigin(t, func(c net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						_, _ = io.WriteString(c, response)
					}
				})
				e := newProxy(t, new(Proxy))
				resp, err := e.forwardClient(way).Get("http://" + origin + "/")
				if err == nil {
					var b []byte
					b, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if !strings.HasPrefix("half", string(b)) {
						t.Errorf("content %q", b)
					}
				}
				if err == nil {
					t.Error("what has come looks whole")
				}
				if r := e.record(); r.End != EndTargetLost && r.End != EndTargetReset {
					t.Errorf("record: %+v", r)
				}
			})
		}
	}
}

// TestEarlyDataHTTP2 sends DATA with the request, before it knows that the tunnel is open.
func TestEarlyDataHTTP2(t *testing.T) {
	e, o := newProxy(t, new(Proxy)), newOrigin(t)
	nc, err := net.Dial("tcp", e.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	codec := h2test.NewCodec()
	var b []byte
	for _, item := range []any{
		h2test.Raw(frame.Preface), h2test.Settings(),
		h2test.Headers(1, ":method: CONNECT", ":authority: "+o.addr),
		h2test.Data(1, "early "), h2test.DataEnd(1, "octets"),
	} {
		b = codec.Append(b, item)
	}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(o.accept()); err != nil || string(got) != "early octets" {
		t.Errorf("the origin has got %q, %v", got, err)
	}
}
