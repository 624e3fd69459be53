package tunnels

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"
	"golang.org/x/crypto/ssh"
)

// A dialer makes connections between a client and a listener. All end with the test.
type dialer struct {
	net.Listener
	dial func(ctx context.Context) (net.Conn, error)
}

// conns is a listener of connections that the test makes in pairs.
type conns struct {
	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newConns() *conns { return &conns{ready: make(chan net.Conn), done: make(chan struct{})} }

func (l *conns) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *conns) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *conns) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// offer has the connection accepted.
func (l *conns) offer(c net.Conn) error {
	select {
	case l.ready <- c:
		return nil
	case <-l.done:
		return net.ErrClosed
	}
}

// tcpPair returns the two ends of a connection on the loopback address, which end with the test.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// loopback has the addresses of a connection that has none.
type loopback struct{}

func (loopback) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (loopback) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// sshConn is a channel as net.Conn, as programs that forward connections make it. It refuses
// deadlines.
type sshConn struct {
	ssh.Channel
	loopback
}

var errNoDeadlines = errors.New("ssh: deadline not supported")

func (sshConn) SetDeadline(time.Time) error      { return errNoDeadlines }
func (sshConn) SetReadDeadline(time.Time) error  { return errNoDeadlines }
func (sshConn) SetWriteDeadline(time.Time) error { return errNoDeadlines }

// sshChannels dials with what ssh.Client.Dial returns. The server's side is a channel, too.
func sshChannels(t *testing.T) dialer {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	below, above := tcpPair(t)
	l := newConns()
	go serveSSH(above, signer, l)
	cfg := &ssh.ClientConfig{HostKeyCallback: ssh.FixedHostKey(signer.PublicKey())}
	c, chans, requests, err := ssh.NewClientConn(below, "", cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := ssh.NewClient(c, chans, requests)
	return dialer{l, func(ctx context.Context) (net.Conn, error) {
		return client.DialContext(ctx, "tcp", "127.0.0.1:80")
	}}
}

// serveSSH offers each channel that is asked for.
func serveSSH(nc net.Conn, key ssh.Signer, l *conns) {
	cfg := &ssh.ServerConfig{NoClientAuth: true}
	cfg.AddHostKey(key)
	_, chans, requests, err := ssh.NewServerConn(nc, cfg)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for asked := range chans {
		ch, requests, err := asked.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		if l.offer(sshConn{Channel: ch}) != nil {
			ch.Close()
		}
	}
}

// yamuxStreams dials streams of one session, whose deadlines give an error of their own.
func yamuxStreams(t *testing.T) dialer {
	below, above := tcpPair(t)
	cfg := yamux.DefaultConfig()
	cfg.LogOutput = io.Discard
	client, err := yamux.Client(below, cfg)
	if err != nil {
		t.Fatal(err)
	}
	server, err := yamux.Server(above, cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := newConns() // closing the session would close its streams
	go func() {
		for {
			c, err := server.Accept()
			if err != nil || l.offer(c) != nil {
				return
			}
		}
	}()
	return dialer{l, func(context.Context) (net.Conn, error) { return client.Open() }}
}

// webSockets dials WebSockets, which a deadline closes.
func webSockets(t *testing.T) dialer {
	l := newConns()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(-1)
		if l.offer(websocket.NetConn(context.Background(), ws, websocket.MessageBinary)) != nil {
			ws.CloseNow()
		}
	}))
	t.Cleanup(s.Close)
	return dialer{l, func(ctx context.Context) (net.Conn, error) {
		ws, _, err := websocket.Dial(ctx, s.URL, nil) //nolint:bodyclose // documented: need not be closed
		if err != nil {
			return nil, err
		}
		ws.SetReadLimit(-1)
		return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
	}}
}

// pipeConn is what docker makes of the standard input and output of another process: its
// deadlines do nothing, and closing it is all that ends a Read.
type pipeConn struct {
	io.Reader
	io.Writer
	ends []io.Closer
	loopback
}

func (c *pipeConn) SetDeadline(time.Time) error      { return nil }
func (c *pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (c *pipeConn) SetWriteDeadline(time.Time) error { return nil }

func (c *pipeConn) CloseWrite() error { return c.ends[1].Close() }

func (c *pipeConn) Close() error {
	return errors.Join(c.ends[0].Close(), c.ends[1].Close())
}

// pipes dials pairs of pipes.
func pipes(*testing.T) dialer {
	l := newConns()
	return dialer{l, func(context.Context) (net.Conn, error) {
		r1, w1, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		r2, w2, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		if err := l.offer(&pipeConn{Reader: r1, Writer: w2, ends: []io.Closer{r1, w2}}); err != nil {
			return nil, err
		}
		return &pipeConn{Reader: r2, Writer: w1, ends: []io.Closer{r2, w1}}, nil
	}}
}

// netPipes dials net.Pipe: each Write waits until it is read.
func netPipes(*testing.T) dialer {
	l := newConns()
	return dialer{l, func(context.Context) (net.Conn, error) {
		a, b := net.Pipe()
		return a, l.offer(b)
	}}
}
