package tunnel

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
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

// TestOctetsBeforeLoss has a client of HTTP/2 go whose last octets may still be in the proxy's
// socket, beside PINGs whose answers can no longer be written: the target gets the octets, and then
// the reset.
func TestOctetsBeforeLoss(t *testing.T) {
	for name, lose := range map[string]func(*net.TCPConn) error{
		"FIN": (*net.TCPConn).CloseWrite,
		"RST": func(nc *net.TCPConn) error { return errors.Join(nc.SetLinger(0), nc.Close()) },
	} {
		if name == "RST" && runtime.GOOS != "linux" {
			continue // the kernel drops with RST what was not read
		}
		t.Run(name, func(t *testing.T) {
			e, o := newProxy(t, new(Proxy)), newOrigin(t)
			for range 20 {
				c := dialFrames(t, e, o.addr)
				target := o.accept()
				var want strings.Builder
				for i := range 8 { // packets: the kernel sends that many before one is acknowledged
					piece := strings.Repeat(string(rune('a'+i)), 1000)
					want.WriteString(piece)
					c.send(h2test.Ping("12345678"), h2test.Data(1, piece))
				}
				if err := lose(c.nc); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(target)
				if string(got) != want.String() || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%d octets and %v, want the %d of the client and a reset", len(got), err, want.Len())
				}
				if r := e.record(); r.End != EndClientLost && r.End != EndClientReset || r.Sent != int64(want.Len()) {
					t.Errorf("record: %+v", r)
				}
			}
		})
	}
}

// frameClient is the client of a tunnel over HTTP/2 without TLS, frame by frame.
type frameClient struct {
	t     *testing.T
	nc    *net.TCPConn
	codec *h2test.Codec
}

// dialFrames opens a tunnel as stream 1, and returns when it is open.
func dialFrames(t *testing.T, e *proxyEnv, target string) *frameClient {
	t.Helper()
	nc, err := net.Dial("tcp", e.plain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(testTimeout))
	c := &frameClient{t: t, nc: nc.(*net.TCPConn), codec: h2test.NewCodec()}
	c.send(h2test.Raw(frame.Preface), h2test.Settings(), h2test.Ack,
		h2test.Headers(1, ":method: CONNECT", ":authority: "+target))
	for r := frame.NewReader(nc); ; {
		h, _, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Type == frame.TypeHeaders {
			return c
		}
	}
}

func (c *frameClient) send(items ...any) {
	c.t.Helper()
	if _, err := c.nc.Write(c.codec.Append(nil, items...)); err != nil {
		c.t.Fatal(err)
	}
}
