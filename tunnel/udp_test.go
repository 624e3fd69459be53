package tunnel

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// A fakeUDP is a connected UDP socket in memory.
type fakeUDP struct {
	net.Conn // nil: no other method is called

	sent   chan string // what was written
	queue  chan any    // what Read returns, a string or an error
	fail   chan error  // what Write returns
	closed chan struct{}
	once   sync.Once
}

func newFakeUDP() *fakeUDP {
	return &fakeUDP{
		sent: make(chan string, 100), queue: make(chan any, 100), fail: make(chan error, 1), closed: make(chan struct{}),
	}
}

func (f *fakeUDP) Read(p []byte) (int, error) {
	select {
	case v := <-f.queue:
		if err, ok := v.(error); ok {
			return 0, err
		}
		return copy(p, v.(string)), nil
	case <-f.closed:
		return 0, net.ErrClosed
	}
}

func (f *fakeUDP) Write(p []byte) (int, error) {
	select {
	case err := <-f.fail:
		return 0, err
	case <-f.closed:
		return 0, net.ErrClosed
	default:
	}
	select {
	case f.sent <- string(p):
		return len(p), nil
	case <-f.closed:
		return 0, net.ErrClosed
	}
}

func (f *fakeUDP) Close() error {
	f.once.Do(func() { close(f.closed) })
	return nil
}

// A udpServer is a Proxy for UDP on connections in memory.
type udpServer struct {
	t       *testing.T
	target  *fakeUDP
	l       *memconn.Listener
	srv     *server.Server
	served  chan error
	records chan Record
}

// newUDPServer serves p, whose targets are all one fakeUDP.
func newUDPServer(t *testing.T, p *Proxy) *udpServer {
	s := &udpServer{
		t: t, target: newFakeUDP(), l: memconn.Listen(memconn.Options{}), served: make(chan error, 1),
		records: make(chan Record, 10),
	}
	if p.Policy == nil {
		p.Policy = allowAll()
	}
	p.DialContext = func(_ context.Context, network, addr string) (net.Conn, error) {
		if network != "udp" || addr != "192.0.2.6:443" {
			t.Errorf("dialled %s %s", network, addr)
		}
		return s.target, nil
	}
	p.Audit = func(rec *Record) { s.records <- *rec }
	s.srv = &server.Server{Handler: p, Config: server.Config{EnableConnectProtocol: true}}
	go func() { s.served <- s.srv.Serve(s.l) }()
	return s
}

// stop ends the server.
func (s *udpServer) stop() {
	_ = s.srv.Close()
	<-s.served
}

// want checks the record of a tunnel.
func (s *udpServer) want(status int, sent, received int64, end, err string) {
	s.t.Helper()
	rec := <-s.records
	if rec.Status != status || rec.Sent != sent || rec.Received != received || rec.End != end ||
		!strings.Contains(rec.Error, err) {
		s.t.Errorf("the record is %+v, want %d %d %d %q %q", rec, status, sent, received, end, err)
	}
}

// A udpPeer is the client of a udpServer, frame by frame.
type udpPeer struct {
	t     *testing.T
	nc    *memconn.Conn
	codec *h2test.Codec
	in    []byte
}

func (s *udpServer) peer() *udpPeer {
	nc, err := s.l.Dial(s.t.Context(), "", "")
	if err != nil {
		s.t.Fatal(err)
	}
	p := &udpPeer{t: s.t, nc: nc.(*memconn.Conn), codec: h2test.NewCodec()}
	p.send(h2test.Raw(frame.Preface), h2test.Settings(), h2test.Ack)
	return p
}

func (p *udpPeer) send(items ...any) {
	p.t.Helper()
	if _, err := p.nc.Write(p.codec.Append(nil, items...)); err != nil {
		p.t.Fatal(err)
	}
}

// want checks what has come of a stream, beside window updates.
func (p *udpPeer) want(lines ...string) {
	p.t.Helper()
	synctest.Wait()
	b := make([]byte, 1<<20)
	_ = p.nc.SetReadDeadline(time.Now().Add(time.Nanosecond))
	for {
		n, err := p.nc.Read(b)
		p.in = append(p.in, b[:n]...)
		if err != nil {
			break
		}
	}
	var got []string
	for {
		item, n, err := p.codec.Next(p.in)
		if err != nil {
			p.t.Fatal(err)
		}
		if n == 0 {
			break
		}
		p.in = p.in[n:]
		line := h2test.Text{Omit: []string{"date", "proxy-status"}}.Line(item)
		if !strings.HasPrefix(line, "SETTINGS") && !strings.HasPrefix(line, "WINDOW_UPDATE") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(lines, got); diff != "" {
		p.t.Errorf("(-want +got)\n%s", diff)
	}
}

// udpRequest is the request of the example of RFC 9298 §3.4.
func udpRequest(id uint32) h2test.Block {
	return h2test.Headers(id, ":method: CONNECT", ":protocol: connect-udp", ":scheme: https",
		":path: /.well-known/masque/udp/192.0.2.6/443/", ":authority: example.org", "capsule-protocol: ?1")
}

// The examples of RFC 9298 §§3.4, 3.5, and each way in which the tunnel ends.
func TestUDPOverHTTP2(t *testing.T) {
	datagram := capsule(0, "\x00ping")
	for name, tt := range map[string]struct {
		end            func(s *udpServer, p *udpPeer)
		want           []string
		record, reason string
	}{
		"client ends": {
			func(_ *udpServer, p *udpPeer) { p.send(h2test.DataEnd(1, "")) },
			[]string{`DATA 1 "" END_STREAM`},
			EndClosed, "",
		},
		"client resets": {
			func(_ *udpServer, p *udpPeer) { p.send(h2test.RST(1, frame.Cancel)) },
			nil, EndClientReset, "CANCEL",
		},
		"client is gone": {
			func(_ *udpServer, p *udpPeer) { _ = p.nc.Close() },
			nil, EndClientLost, "",
		},
		"no context ID": {
			func(_ *udpServer, p *udpPeer) { p.send(h2test.Data(1, capsule(0, ""))) },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"},
			EndMalformed, "context ID",
		},
		"end within a capsule": {
			func(_ *udpServer, p *udpPeer) { p.send(h2test.DataEnd(1, datagram[:3])) },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"},
			EndMalformed, "within a capsule",
		},
		"too long": {
			func(_ *udpServer, p *udpPeer) { p.send(h2test.Data(1, "\x00\x80\x01\x00\x00\x00")) },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"},
			EndMalformed, "65527",
		},
		"target refuses what comes": {
			func(s *udpServer, _ *udpPeer) { s.target.queue <- syscall.ECONNREFUSED },
			[]string{"RST_STREAM 1 CONNECT_ERROR"},
			EndTargetReset, "refused",
		},
		"target refuses what is sent": {
			func(s *udpServer, p *udpPeer) {
				s.target.fail <- syscall.EHOSTUNREACH
				p.send(h2test.Data(1, datagram))
			},
			[]string{"RST_STREAM 1 CONNECT_ERROR"},
			EndTargetLost, "no route",
		},
		"idle limit": {
			func(*udpServer, *udpPeer) { time.Sleep(2*time.Minute + time.Second) },
			[]string{`DATA 1 "" END_STREAM`, "RST_STREAM 1 NO_ERROR"},
			EndIdle, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newUDPServer(t, &Proxy{UDP: true, IdleTimeout: 2 * time.Minute})
				p := s.peer()
				p.send(udpRequest(1))
				p.want("HEADERS 1 :status=200 capsule-protocol=?1")
				p.send(h2test.Data(1, datagram[:2]), h2test.Data(1, datagram[2:]+capsule(99, "x")+capsule(0, "\x02y")))
				if got := <-s.target.sent; got != "ping" {
					t.Errorf("the target got %q", got)
				}
				time.Sleep(119 * time.Second) // the idle limit is not reached
				s.target.queue <- syscall.EMSGSIZE
				s.target.queue <- "pong"
				p.want(fmt.Sprintf("DATA 1 %q", capsule(0, "\x00pong")))
				s.target.fail <- syscall.EMSGSIZE
				p.send(h2test.Data(1, capsule(0, "\x00is dropped")))
				p.want()

				tt.end(s, p)
				if name != "client is gone" {
					p.want(tt.want...)
				}
				s.want(200, 4, 4, tt.record, tt.reason)
				if _, err := s.target.Write(nil); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the socket is open: %v", err)
				}
				_ = p.nc.Close()
				s.stop()
			})
		})
	}
}

var udpOverHTTP1Tests = map[string]struct {
	end            func(s *udpServer, nc net.Conn)
	record, reason string
}{
	"client ends":   {func(_ *udpServer, nc net.Conn) { _ = nc.(*memconn.Conn).CloseWrite() }, EndClosed, ""},
	"client closes": {func(_ *udpServer, nc net.Conn) { _ = nc.Close() }, EndClosed, ""},
	"malformed": {
		func(_ *udpServer, nc net.Conn) { _, _ = io.WriteString(nc, capsule(0, "")) }, EndMalformed, "context ID",
	},
	"target refuses": {
		func(s *udpServer, _ net.Conn) { s.target.queue <- syscall.ECONNREFUSED }, EndTargetReset, "refused",
	},
	"idle limit": {func(*udpServer, net.Conn) { time.Sleep(11 * time.Minute) }, EndIdle, ""},
}

// The examples of RFC 9298 §§3.2, 3.3, with datagrams right behind the request.
func TestUDPOverHTTP1(t *testing.T) {
	for name, tt := range udpOverHTTP1Tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newUDPServer(t, &Proxy{UDP: true})
				nc, err := s.l.Dial(t.Context(), "", "")
				if err != nil {
					t.Fatal(err)
				}
				_, err = io.WriteString(nc, "GET https://example.org/.well-known/masque/udp/192.0.2.6/443/ HTTP/1.1\r\n"+
					"Host: example.org\r\nConnection: Upgrade\r\nUpgrade: connect-udp\r\nCapsule-Protocol: ?1\r\n\r\n"+
					capsule(0, "\x00early"))
				if err != nil {
					t.Fatal(err)
				}
				br := bufio.NewReader(nc)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				want := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"connect-udp"}, "Capsule-Protocol": {"?1"}}
				resp.Header.Del("Proxy-Status")
				if diff := cmp.Diff(want, resp.Header); resp.StatusCode != 101 || diff != "" {
					t.Errorf("%s\n%s", resp.Status, diff)
				}
				if got := <-s.target.sent; got != "early" {
					t.Errorf("the target got %q", got)
				}
				s.target.queue <- "pong"
				c := capsuleReader{r: br}
				if b, err := c.next(); err != nil || string(b) != "pong" {
					t.Errorf("%q, %v", b, err)
				}
				tt.end(s, nc)
				if _, err := c.next(); err != io.EOF && name != "client closes" {
					t.Errorf("at the end: %v", err)
				}
				s.want(101, 5, 4, tt.record, tt.reason)
				_ = nc.Close()
				s.stop()
			})
		})
	}
}

// What is no request for a tunnel for UDP, or not allowed, is answered.
func TestUDPRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		proxy  *Proxy
		change func(b h2test.Block) h2test.Block
		status int
	}{
		"off":      {&Proxy{}, nil, http.StatusForbidden},
		"policy":   {&Proxy{UDP: true, Policy: &Rules{}}, nil, http.StatusForbidden},
		"bad path": {&Proxy{UDP: true}, func(b h2test.Block) h2test.Block { b.Fields[3].Value = "/x"; return b }, 400},
		"content type": {
			&Proxy{UDP: true}, func(b h2test.Block) h2test.Block { return b.With("content-type: text/plain") }, 400,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newUDPServer(t, tt.proxy)
				p := s.peer()
				b := udpRequest(1)
				if tt.change != nil {
					b = tt.change(b)
				}
				p.send(b)
				rec := <-s.records
				if rec.Status != tt.status || rec.Error == "" {
					t.Errorf("the record is %+v", rec)
				}
				_ = p.nc.Close()
				s.stop()
			})
		})
	}
}

// While the client takes nothing the relay holds one datagram: the others wait in the socket, where
// the system drops those that do not fit. Then they go on, whole.
func TestUDPSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUDPServer(t, &Proxy{UDP: true})
		p := s.peer()
		p.send(h2test.Settings(h2test.InitialWindow(10)), udpRequest(1))
		p.want("HEADERS 1 :status=200 capsule-protocol=?1")
		for i := range 50 {
			s.target.queue <- fmt.Sprintf("datagram %d", i)
		}
		p.want(`DATA 1 "\x00\v\x00datagra"`)
		if n := len(s.target.queue); n != 49 {
			t.Errorf("%d of 49 datagrams are left in the socket", n)
		}
		p.send(h2test.WindowUpdate(1, 1000))
		synctest.Wait()
		if n := len(s.target.queue); n != 0 {
			t.Errorf("%d datagrams are left in the socket", n)
		}
		// One that takes nothing for good meets the idle limit.
		s.target.queue <- strings.Repeat("x", 2000)
		time.Sleep(DefaultIdleTimeout + time.Second)
		s.want(200, 0, 10*10+40*11, EndIdle, "")
		_ = p.nc.Close()
		s.stop()
	})
}

// Proxy.Shutdown waits for tunnels for UDP, and cuts them off when its context is done.
func TestUDPShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proxy := &Proxy{UDP: true, MaxTunnelAge: time.Hour, IdleTimeout: -1}
		s := newUDPServer(t, proxy)
		p := s.peer()
		p.send(udpRequest(1))
		p.want("HEADERS 1 :status=200 capsule-protocol=?1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := proxy.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		p.want("RST_STREAM 1 CANCEL")
		s.want(200, 0, 0, EndShutdown, "")
		_ = p.nc.Close()
		s.stop()
	})
}

// A tunnel ends at its age limit.
func TestUDPAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newUDPServer(t, &Proxy{UDP: true, MaxTunnelAge: time.Hour, IdleTimeout: -1})
		p := s.peer()
		p.send(udpRequest(1))
		p.want("HEADERS 1 :status=200 capsule-protocol=?1")
		time.Sleep(time.Hour + time.Second)
		p.want(`DATA 1 "" END_STREAM`, "RST_STREAM 1 NO_ERROR")
		s.want(200, 0, 0, EndAge, "")
		_ = p.nc.Close()
		s.stop()
	})
}
