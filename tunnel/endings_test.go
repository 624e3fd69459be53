package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/socket"
)

// ending is a row of the table of endings: what happens, in order, what the two sides see of it at
// last, and what the record says.
type ending struct {
	steps          string // separated by ", "
	client, target string // "closed", "reset", or "" for the side that has brought the end about
	end            string
}

// endings are the rows of the table in docs/TUNNELS.md. FIN stands for the end of a direction,
// which END_STREAM is in HTTP/2, RST for RST_STREAM, too.
var endings = []ending{
	{"client FIN, target FIN", "closed", "closed", EndClosed},
	{"target FIN, client FIN", "closed", "closed", EndClosed},
	{"client RST", "", "reset", EndClientReset},
	{"client FIN, client RST", "", "reset", EndClientReset},
	{"target FIN, client RST", "", "reset", EndClientReset},
	{"target RST", "reset", "", EndTargetReset},
	{"target FIN, target RST", "reset", "", EndTargetReset},
	{"client FIN, target RST", "reset", "", EndTargetReset},
	{"client lost", "", "reset", EndClientLost},
	{"client FIN, client lost", "", "reset", EndClientLost},
	{"target FIN, client lost", "", "reset", EndClientLost},
	{"target lost", "reset", "", EndTargetLost},
	{"client FIN, target lost", "reset", "", EndTargetLost},
	{"target FIN, target lost", "reset", "", EndTargetLost},
	{"idle limit", "reset", "reset", EndIdle},
	{"client FIN, idle limit", "reset", "reset", EndIdle},
	{"target FIN, idle limit", "reset", "reset", EndIdle},
	{"age limit", "reset", "reset", EndAge},
	{"client FIN, age limit", "reset", "reset", EndAge},
	{"target FIN, age limit", "reset", "reset", EndAge},
	{"shutdown", "reset", "reset", EndShutdown},
	{"client FIN, shutdown", "reset", "reset", EndShutdown},
	{"target FIN, shutdown", "reset", "reset", EndShutdown},
}

// The ways of the table: a chain is HTTP/2 on TLS to a proxy that reaches the target by a tunnel
// through another one, over HTTP/2 too; behind is HTTP/1.1 to a proxy behind a load balancer.
const (
	overChain     = "chain"
	overBehind    = "behind"
	overBehindTLS = "behind-tls"
)

var endingWays = append(slices.Clone(allWays), overChain, overBehind, overBehindTLS)

// TestEndings plays each row over each protocol.
func TestEndings(t *testing.T) {
	for _, way := range endingWays {
		for _, row := range endings {
			if !row.possible(way) {
				continue
			}
			t.Run(way+"/"+strings.ReplaceAll(row.steps, ", ", "+"), func(t *testing.T) {
				t.Parallel()
				testEnding(t, way, row)
			})
		}
	}
}

// possible reports whether a row can be played. A lost connection is one of HTTP/2 that ends while
// the tunnel does not; of plain TCP one hears after minutes.
func (row ending) possible(way string) bool {
	switch {
	case strings.Contains(row.steps, "client lost"):
		return way == overH2 || way == overH2C || way == overChain
	case strings.Contains(row.steps, "target lost"):
		return way == overChain
	}
	return true
}

// endingTest is a tunnel whose end is played.
type endingTest struct {
	t              *testing.T
	way            string
	e              *proxyEnv
	client, target *endingSide
	behind         *captured // the connection to the other proxy of a chain
	limits         *heldLimits
}

// endingSide is one side of it.
type endingSide struct {
	net.Conn
	raw   net.Conn // the socket, nil for a stream
	ended chan error
	eof   bool // the other side's direction has ended
	fin   bool // its own has
}

// captured keeps the last connection that was dialled.
type captured struct{ net.Conn }

func (c *captured) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, addr)
	c.Conn = nc
	return nc, err
}

func testEnding(t *testing.T, way string, row ending) {
	p := &Proxy{IdleTimeout: -1}
	if strings.Contains(row.steps, "idle limit") {
		p.IdleTimeout = 100 * time.Millisecond
	}
	if strings.Contains(row.steps, "age limit") {
		p.MaxTunnelAge = 100 * time.Millisecond
	}
	limits := holdLimits(p)
	x := &endingTest{t: t, way: way, e: newProxy(t, p), limits: limits}
	if way == overChain {
		x.chain(p)
	}
	o := newOrigin(t)
	x.client = x.dial(o.addr)
	s := o.accept()
	x.target = newEndingSide(s)
	for step := range strings.SplitSeq(row.steps, ", ") {
		x.play(step)
	}
	x.see("client", x.client, row.client, row.end)
	x.see("target", x.target, row.target, row.end)
	if r := x.e.record(); r.End != row.end {
		t.Errorf("the record says %s, want %s: %+v", r.End, row.end, r)
	}
}

// chain has p reach targets through another proxy.
func (x *endingTest) chain(p *Proxy) {
	second := newProxy(x.t, &Proxy{})
	x.behind = &captured{}
	tr := second.transport(overH2)
	tr.DialContext = x.behind.dial
	p.DialContext = func(ctx context.Context, _, addr string) (net.Conn, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodConnect, "https://"+second.tls, nil)
		if err != nil {
			return nil, err
		}
		req.Host = addr
		tunnel, resp, err := tr.Connect(req)
		if tunnel == nil {
			return nil, errors.Join(err, errors.New(resp.Status))
		}
		return tunnel, err
	}
}

// dial opens the tunnel.
func (x *endingTest) dial(target string) *endingSide {
	way := x.way
	switch way {
	case overChain:
		way = overH2
	case overBehind, overBehindTLS:
		x.e.behindBalancer()
		way = map[string]string{overBehind: overHTTP1, overBehindTLS: overHTTPS1}[way]
	}
	if way == overHTTP1 || way == overHTTPS1 {
		c, _ := x.e.dial(way, target)
		side := newEndingSide(c)
		side.raw = c.(*readerConn).tunnelConn
		if tc, ok := side.raw.(*tls.Conn); ok {
			side.raw = tc.NetConn()
		}
		return side
	}
	below := &captured{}
	tr := x.e.transport(way)
	tr.DialContext = below.dial
	c, _ := x.e.dialH2(tr, way, target, make(http.Header))
	side := newEndingSide(c)
	side.raw = below.Conn
	return side
}

func newEndingSide(c net.Conn) *endingSide {
	s := &endingSide{Conn: c, raw: c, ended: make(chan error, 1)}
	if t, ok := c.(*conn.Tunnel); ok {
		t.OnEnd(func(err error) { s.ended <- err })
	}
	return s
}

// play plays one step, and waits until the other side has got what was sent before.
func (x *endingTest) play(step string) {
	x.t.Helper()
	name, what, _ := strings.Cut(step, " ")
	side, other := x.client, x.target
	if name == "target" {
		side, other = x.target, x.client
	}
	if !side.fin && name != "idle" && name != "age" && name != "shutdown" {
		write(x.t, side, "last words")
	}
	switch {
	case step == "shutdown":
		ctx, cancel := context.WithCancel(x.t.Context())
		cancel()
		if err := x.e.p.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			x.t.Errorf("Shutdown: %v", err)
		}
		return
	case what == "limit":
		x.limits.release()
		return
	case what == "FIN":
		if err := side.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			x.t.Fatal(err)
		}
		wantRead(x.t, other, "last words")
		wantEOF(x.t, other)
		side.fin, other.eof = true, true
		return
	case what == "RST":
		abort(side.testable(), frame.Cancel)
	case step == "client lost":
		// Write returns when the octets are in the output, which another goroutine may be writing:
		// what the proxy has answered behind them, it has got.
		if _, err := side.Conn.(*conn.Tunnel).Conn().Ping(x.t.Context()); err != nil {
			x.t.Fatalf("PING: %v", err)
		}
		_ = side.raw.Close()
	case step == "target lost":
		_ = x.behind.Close()
		return // what was on the way is lost, too
	}
	if !side.fin {
		wantRead(x.t, other, "last words")
	}
}

// testable returns what abort knows.
func (s *endingSide) testable() net.Conn {
	if _, ok := s.Conn.(*readerConn); ok {
		return s.raw
	}
	return s.Conn
}

// see checks what a side sees at last.
func (x *endingTest) see(name string, s *endingSide, want, end string) {
	x.t.Helper()
	var err error
	switch {
	case want == "":
		return
	case want == "closed":
		if !s.eof {
			wantEOF(x.t, s)
		}
		return
	case !s.eof:
		_, err = io.Copy(io.Discard, s)
		if err == nil {
			x.t.Fatalf("the %s sees the end of the stream, want a reset", name)
		}
	default:
		if _, ok := s.Conn.(*conn.Tunnel); ok {
			select {
			case err = <-s.ended:
			case <-time.After(testTimeout):
				x.t.Fatalf("the %s has not seen the reset", name)
			}
		} else if err = socket.Of(s.raw).AwaitReset(); err == nil || errors.Is(err, net.ErrClosed) {
			x.t.Fatalf("the %s has not seen the reset: %v", name, err)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		x.t.Fatalf("the %s: %v", name, err)
	}
	if _, ok := s.Conn.(*conn.Tunnel); ok {
		code := frame.ConnectError
		if end == EndIdle || end == EndAge || end == EndShutdown {
			code = frame.Cancel
		}
		var se *frame.StreamError
		if !errors.As(err, &se) || se.Code != code {
			x.t.Errorf("the %s sees %v, want RST_STREAM(%v)", name, err, code)
		}
	}
}

// TestEndingsTable compares the table in docs/TUNNELS.md with the rows that are tested.
func TestEndingsTable(t *testing.T) {
	b, err := os.ReadFile("../docs/TUNNELS.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []ending
	row := regexp.MustCompile(
		"(?m)^\\| ((?:client|target|idle|age|shutdown)[^|]*) \\| ([^|]*) \\| ([^|]*) \\| `([^|`]*)` \\|$",
	)
	for _, m := range row.FindAllStringSubmatch(string(b), -1) {
		clean := func(s string) string { return strings.TrimSuffix(strings.TrimSpace(s), "–") }
		got = append(got, ending{strings.ReplaceAll(m[1], "; ", ", "), clean(m[2]), clean(m[3]), m[4]})
	}
	if !slices.Equal(got, endings) {
		t.Errorf("docs/TUNNELS.md has\n%v\nand tested is\n%v", got, endings)
	}
}
