package conn

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// readSlowly has a client send one request, wait, and read all of the answer, of size octets. It
// answers PING, and leaves the connection open until all is read, what the server says behind the
// answer, too: closed before, the socket would be reset.
func readSlowly(t *testing.T, cn, sn net.Conn, cfg Config, h Handler, size int, wait time.Duration) {
	t.Helper()
	c := NewServer(sn, cfg, h)
	served := make(chan error, 1)
	go func() { served <- c.Serve() }() // ends with the connection
	defer func() {
		_ = cn.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve returned %v", err)
		}
	}()
	p := &testPeer{t: t, codec: h2test.NewCodec()}
	first := p.codec.Append(nil, frame.Preface, h2test.Settings(h2test.InitialWindow(1<<30)),
		h2test.WindowUpdate(0, 1<<30), h2test.Get(1))
	if _, err := cn.Write(first); err != nil {
		t.Fatal(err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	<-timer.C
	got, whole := 0, false
	var head [frame.HeaderLen]byte
	for {
		if _, err := io.ReadFull(cn, head[:]); whole && err != nil {
			return // the server has closed
		} else if err != nil {
			t.Fatalf("after %d of %d octets: %v", got, size, err)
		}
		fh := frame.ParseHeader(head[:])
		payload := make([]byte, fh.Length)
		if _, err := io.ReadFull(cn, payload); err != nil {
			t.Fatalf("after %d of %d octets: %v", got, size, err)
		}
		switch {
		case fh.Type == frame.TypePing && !fh.Flags.Has(frame.FlagAck):
			_, _ = cn.Write(frame.Ping{Ack: true, Data: [8]byte(payload)}.Append(nil)) // it may be closed
		case fh.Type == frame.TypeData:
			// A closed socket would answer with a reset, and what is on its way would be lost.
			_, _ = cn.Write(p.codec.Append(nil, h2test.WindowUpdate(0, uint32(len(payload)))))
			got += len(payload)
			if whole = fh.Flags.Has(frame.FlagEndStream); whole && got != size {
				t.Fatalf("%d of %d octets", got, size)
			}
		}
	}
}

// smallTCPPair is tcpPair whose client has little room: what is sent stays with the server, whose
// socket takes 300 KiB at once.
func smallTCPPair(t *testing.T) (cn, sn *net.TCPConn) {
	cn, sn = tcpPair(t)
	_ = cn.SetReadBuffer(16 << 10)
	_ = sn.SetWriteBuffer(1 << 20)
	return cn, sn
}

// A client that reads later than a second after Shutdown gets all: over TCP, Unix sockets and TLS.
func TestLingerForASlowPeer(t *testing.T) {
	const size = 300 << 10
	h := handlerFunc(func(st *Stream) {
		st.c.Shutdown()
		_ = st.Reply(status2(200), make([]byte, size), nil)
	})
	for name, pair := range map[string]func() (cn, sn net.Conn){
		"TCP":  func() (cn, sn net.Conn) { return smallTCPPair(t) },
		"unix": func() (cn, sn net.Conn) { return unixPair(t) },
		"TLS": func() (cn, sn net.Conn) {
			c, s := smallTCPPair(t)
			return overTLS(t, c, s)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cn, sn := pair()
			readSlowly(t, cn, sn, Config{}, h, size, 2*lingerTime+lingerTime/2)
		})
	}
}

// A client that reads nothing more is left after WriteByteTimeout.
func TestLingerForADeadPeer(t *testing.T) {
	cn, sn := smallTCPPair(t)
	h := handlerFunc(func(st *Stream) {
		st.c.Shutdown()
		_ = st.Reply(status2(200), make([]byte, 300<<10), nil)
	})
	c := NewServer(sn, Config{WriteByteTimeout: 300 * time.Millisecond}, h)
	served := make(chan error, 1)
	go func() { served <- c.Serve() }() // ends with the connection
	p := &testPeer{t: t, codec: h2test.NewCodec()}
	first := p.codec.Append(nil, frame.Preface, h2test.Settings(h2test.InitialWindow(1<<30)),
		h2test.WindowUpdate(0, 1<<30), h2test.Get(1))
	if _, err := cn.Write(first); err != nil {
		t.Fatal(err)
	}
	select {
	case <-served:
	case <-time.After(time.Minute):
		t.Fatal("the connection lives still")
	}
}
