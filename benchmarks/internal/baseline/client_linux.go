package baseline

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"runtime"

	"github.com/sluice-go/sluice/frame"
)

// A Client is the baseline of clients, on one connection.
type Client struct {
	frames
	socket  io.ReadWriter
	request message
	next    uint32 // stream
	in, out []byte

	ended   int
	octets  int64 // of bodies
	problem error
}

// Dial makes the connection for GETs of a URL, whose scheme is http.
func Dial(target string) (*Client, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	nc, err := net.Dial("tcp", u.Host)
	if err != nil {
		return nil, err
	}
	s, err := newSocket(nc)
	if err != nil {
		return nil, err
	}
	return newClient(s, newRequest(u.Host, u.Path)), nil
}

func newClient(s io.ReadWriter, request message) *Client {
	c := &Client{socket: s, request: request, next: 1, in: make([]byte, 64<<10)}
	const largest = 1<<31 - 1
	c.out = append(c.out, frame.Preface...)
	c.out = frame.AppendSettings(c.out, frame.Setting{ID: frame.SettingEnablePush, Value: 0})
	c.out = frame.WindowUpdate{Increment: largest - 1<<16 + 1}.Append(c.out)
	return c
}

// Do makes n requests, inFlight at a time, for bodies of so many octets each.
func (c *Client) Do(n, inFlight int, size int64) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	started := 0
	c.ended, c.octets = 0, 0
	handle := c.frame
	for c.ended < n {
		for ; started < n && started-c.ended < inFlight; started++ {
			c.out = c.request.appendTo(c.out, c.next)
			c.next += 2
		}
		if len(c.out) > 0 {
			if _, err := c.socket.Write(c.out); err != nil {
				return err
			}
			c.out = c.out[:0]
		}
		if err := c.read(c.socket, c.in, handle); err != nil {
			return err
		}
		if c.problem != nil {
			return c.problem
		}
	}
	if want := int64(n) * size; c.octets != want {
		return fmt.Errorf("%d octets of bodies came, not %d", c.octets, want)
	}
	return nil
}

func (c *Client) frame(h frame.Header, payload []byte) {
	switch h.Type {
	case frame.TypeHeaders:
	case frame.TypeData:
		c.octets += int64(h.Length)
	case frame.TypeRSTStream, frame.TypeGoAway:
		c.problem = fmt.Errorf("the server sent %v", h)
	default:
		c.out = appendReply(c.out, h, payload)
		return
	}
	if h.Flags.Has(frame.FlagEndStream) {
		c.ended++
	}
}
