package conn

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/selfsigned"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// Tests on real sockets of the loopback interface. Nothing in them sleeps; what waits, waits for
// the peer.

// tcpPair returns the two ends of a TCP connection.
func tcpPair(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cn.Close()
		sn.Close()
	})
	return cn.(*net.TCPConn), sn.(*net.TCPConn)
}

// overTLS puts TLS on both ends of a connection and shakes hands.
func overTLS(t testing.TB, cn, sn net.Conn) (client, server *tls.Conn) {
	t.Helper()
	cert, err := selfsigned.Certificate("localhost")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	client = tls.Client(cn, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}})
	server = tls.Server(sn, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	done := make(chan error, 1)
	go func() { done <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func unixPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Skip("no Unix sockets here: ", err)
	}
	defer l.Close()
	cn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	sn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return cn, sn
}

func TestPairOnSockets(t *testing.T) {
	kinds := map[string]func(*testing.T) (client, server net.Conn){
		"tcp":  func(t *testing.T) (_, _ net.Conn) { return tcpPair(t) },
		"unix": func(t *testing.T) (_, _ net.Conn) { return unixPair(t) },
		"pipe": func(*testing.T) (_, _ net.Conn) { return net.Pipe() },
		"tls": func(t *testing.T) (_, _ net.Conn) {
			cn, sn := tcpPair(t)
			return overTLS(t, cn, sn)
		},
		"tls below which records are gathered": func(t *testing.T) (_, _ net.Conn) {
			cn, sn := tcpPair(t)
			return overTLS(t, tlsbatch.New(cn), tlsbatch.New(sn))
		},
	}
	const buffer = 1 << 24
	large := Config{
		MaxReadFrameSize: 1 << 20, MaxReceiveBufferPerStream: buffer, MaxReceiveBufferPerConnection: buffer,
	}
	for name, connect := range kinds {
		for _, cfg := range []Config{{}, large} {
			t.Run(name, func(t *testing.T) {
				cn, sn := connect(t)
				p := newPair(t, cn, sn, cfg, cfg, echo)
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() { p.roundTrip(pattern(uint32(i), 1<<i)) })
				}
				wg.Wait()
				p.wantClean()
			})
		}
	}
}

// deadlined notes the write deadline of a connection.
type deadlined struct {
	net.Conn
	mu sync.Mutex
	at time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = t
	return d.Conn.SetWriteDeadline(t)
}

// Reading from TLS may write, long after our last write: no deadline of ours may be left.
func TestNoWriteDeadlineIsLeftOnTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cn, sn := testEnds(t, memconn.Options{})
		if sn.SetWriteDeadline(time.Time{}) != nil {
			t.Skip("this connection has no deadlines")
		}
		d := &deadlined{Conn: sn}
		client, server := overTLS(t, cn, d)
		p := newPair(t, client, server, Config{}, Config{}, echo)
		p.roundTrip(pattern(1, 100_000))
		synctest.Wait()
		d.mu.Lock()
		at := d.at
		d.mu.Unlock()
		if !at.IsZero() {
			t.Errorf("a write deadline in %v is left", time.Until(at))
		}
		p.client.Shutdown()
	})
}

// A frame of 1 MiB, larger than any buffer to begin with.
func TestLargeFrames(t *testing.T) {
	cn, sn := tcpPair(t)
	bodies := make(chan []byte)
	c := NewServer(sn, Config{
		MaxReadFrameSize: 1 << 20, MaxReceiveBufferPerStream: 1 << 24, MaxReceiveBufferPerConnection: 1 << 24,
	}, handlerFunc(func(st *Stream) {
		b, err := io.ReadAll(st)
		if err != nil {
			t.Error(err)
		}
		bodies <- b
	}))
	done := make(chan error, 1)
	go func() { done <- c.Serve() }()
	p := testPeer{t: t, codec: h2test.NewCodec()}
	b := p.codec.Append(nil, h2test.Raw(frame.Preface))
	b = p.codec.Append(b, h2test.Settings())
	b = p.codec.Append(b, h2test.Ack)
	want := map[int][]byte{}
	for i, size := range []int{1 << 20, 1, 1<<20 - 1, 100_000, 65536, 65527} {
		id := uint32(2*i + 1)
		want[size] = pattern(id, size)
		b = p.codec.Append(b, h2test.Post(id))
		b = p.codec.Append(b, frame.Data{StreamID: id, Data: want[size], EndStream: true})
	}
	go func() {
		_, _ = io.Copy(io.Discard, cn) // ends with the connection
	}()
	if _, err := cn.Write(b); err != nil {
		t.Fatal(err)
	}
	for range want {
		b := <-bodies
		if !bytes.Equal(b, want[len(b)]) {
			t.Errorf("a body of %d octets is not what was sent", len(b))
		}
	}
	_, _ = cn.Write(frame.Header{Length: 1<<20 + 1}.Append(nil))
	_ = cn.CloseWrite()
	if err := <-done; !errors.Is(err, frame.FrameSizeError) {
		t.Errorf("Serve returned %v", err)
	}
}

func TestEndOfSocket(t *testing.T) {
	ends := []struct {
		name string
		end  func(cn *net.TCPConn)
		want error
	}{
		{"EOF", func(cn *net.TCPConn) { _ = cn.CloseWrite() }, io.EOF},
		{"RST", func(cn *net.TCPConn) { _ = cn.SetLinger(0); _ = cn.Close() }, syscall.ECONNRESET},
	}
	for _, tt := range ends {
		t.Run(tt.name, func(t *testing.T) {
			cn, sn := tcpPair(t)
			ended, read := make(chan error, 1), make(chan error, 1)
			started := make(chan bool)
			c := NewServer(sn, Config{}, handlerFunc(func(st *Stream) {
				st.OnEnd(func(err error) { ended <- err })
				close(started)
				_, err := st.Read(make([]byte, 1))
				read <- err
			}))
			served := make(chan error, 1)
			go func() { served <- c.Serve() }()
			p := testPeer{t: t, codec: h2test.NewCodec()}
			b := p.codec.Append(nil, h2test.Raw(frame.Preface))
			b = p.codec.Append(b, h2test.Settings())
			_, _ = cn.Write(p.codec.Append(b, h2test.Post(1)))
			go func() { _, _ = io.Copy(io.Discard, cn) }() // what is unread would turn EOF into RST
			<-started
			tt.end(cn)
			for name, ch := range map[string]chan error{"OnEnd": ended, "Read": read, "Serve": served} {
				if err := <-ch; !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
			}
		})
	}
}

// GOAWAY must be readable although the peer has sent what was not read, for which TCP resets a
// connection that is simply closed.
func TestGoAwaySurvives(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for range 10 {
			var cn, sn net.Conn = tcpPair(t)
			if secure {
				cn, sn = overTLS(t, cn, sn)
			}
			c := NewServer(sn, Config{}, handlerFunc(func(*Stream) {}))
			served := make(chan error, 1)
			go func() { served <- c.Serve() }()
			p := testPeer{t: t, codec: h2test.NewCodec()}
			b := p.codec.Append(nil, h2test.Raw(frame.Preface))
			b = p.codec.Append(b, h2test.Settings())
			b = p.codec.Append(b, h2test.Data(1, "fault"))
			b = append(b, make([]byte, 1<<20)...)
			_, _ = cn.Write(b)
			_ = cn.(interface{ CloseWrite() error }).CloseWrite()
			got, err := io.ReadAll(cn)
			if err != nil {
				t.Fatalf("TLS %v: after %d octets: %v", secure, len(got), err)
			}
			p.in = got
			var last any
			for f, ok := p.next(); ok; f, ok = p.next() {
				last = f
			}
			if g, ok := last.(frame.GoAway); !ok || g.Code != frame.ProtocolError {
				t.Errorf("TLS %v: the last frame is %v", secure, last)
			}
			<-served
		}
	}
}

// inUse returns how much memory heap and stacks take, without garbage.
func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what is in pools goes with the second
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// idleMemory returns how many octets of memory an idle connection of each kind takes on the
// server's side.
func idleMemory(t *testing.T, n, body int, connect func() (client, server net.Conn)) int {
	clients, servers := make([]net.Conn, n), make([]net.Conn, n)
	for i := range n {
		clients[i], servers[i] = connect()
	}
	before := inUse()
	var wg sync.WaitGroup
	conns := make([]*Server, n)
	for i, sn := range servers {
		conns[i] = NewServer(sn, Config{IdleTimeout: time.Hour}, handlerFunc(func(st *Stream) {
			_, _ = io.Copy(io.Discard, st)
			_ = st.Reply(status2(200, "content-type", "text/plain"), make([]byte, body), nil)
		}))
		wg.Go(func() { _ = conns[i].Serve() })
	}
	p := testPeer{t: t}
	for _, cn := range clients {
		p.codec = h2test.NewCodec() // each connection's own
		b := p.codec.Append(nil, h2test.Raw(frame.Preface))
		b = p.codec.Append(b, h2test.Settings())
		b = p.codec.Append(b, h2test.Ack)
		b = p.codec.Append(b, h2test.Post(1).With("user-agent: idler", "accept: */*"))
		b = p.codec.Append(b, frame.Data{StreamID: 1, Data: make([]byte, body), EndStream: true})
		if _, err := cn.Write(b); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		for done := false; !done; {
			k, err := cn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			done = bytes.HasSuffix(buf[:k], make([]byte, 100)) // the body has come
		}
	}
	p = testPeer{}
	after := inUse()
	for i, cn := range clients {
		_ = cn.Close()
		_ = conns[i].Close()
	}
	wg.Wait()
	return (after - before) / n
}

func TestIdleConnectionHoldsNoBuffers(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory is measured, too")
	}
	const n = 1000
	t.Run("tcp", func(t *testing.T) {
		m := idleMemory(t, n, 10_000, func() (_, _ net.Conn) { return tcpPair(t) })
		t.Logf("%d octets for an idle connection", m)
		if m > 12<<10 {
			t.Errorf("an idle connection holds %d octets", m)
		}
	})
	t.Run("tls", func(t *testing.T) {
		m := idleMemory(t, n/4, 1000, func() (_, _ net.Conn) {
			cn, sn := tcpPair(t)
			return overTLS(t, cn, sn)
		})
		t.Logf("%d octets for an idle connection", m)
		if m > 32<<10 {
			t.Errorf("an idle connection holds %d octets", m)
		}
	})
}

func TestStatsOfSocket(t *testing.T) {
	cn, sn := tcpPair(t)
	p := newPair(t, cn, sn, Config{}, Config{}, echo)
	p.roundTrip(pattern(1, 100_000))
	p.wantClean()
	cs, ss := p.client.Stats(), p.server.Stats()
	if cs.BytesWritten != ss.BytesRead || cs.DataOut != 100_000 || ss.DataIn != 100_000 || ss.DataOut != 100_000 {
		t.Errorf("client: %+v\nserver: %+v", cs, ss)
	}
	if p.client.NetConn() != net.Conn(cn) {
		t.Error("NetConn is another")
	}
	if _, err := openStream(p.client, h2test.Get(1).Fields, true); !errors.Is(err, core.ErrNoMoreStreams) {
		t.Errorf("OpenStream after the end: %v", err)
	}
}
