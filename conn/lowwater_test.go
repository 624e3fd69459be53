package conn

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// A peer that pauses in the middle of a body has what it has sent delivered.
func TestPauseInLargeBody(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		cn, sn := tcpPair(t)
		pauseInLargeBody(t, cn, sn)
	})
	t.Run("tls", func(t *testing.T) {
		cn, sn := tcpPair(t)
		client, server := overTLS(t, cn, tlsbatch.New(sn))
		pauseInLargeBody(t, client, server)
	})
}

func pauseInLargeBody(t *testing.T, cn, sn net.Conn) {
	const before, size = 3<<20 + 100, 6 << 20
	arrived := make(chan int)
	c := NewServer(sn, Config{MaxReceiveBufferPerStream: 1 << 24, MaxReceiveBufferPerConnection: 1 << 24},
		handlerFunc(func(st *Stream) {
			buf, total := make([]byte, 64<<10), 0
			for {
				n, err := st.Read(buf)
				total += n
				if total == before || err != nil {
					arrived <- total
				}
				if err != nil {
					if !errors.Is(err, io.EOF) {
						t.Error(err)
					}
					return
				}
			}
		}))
	served := make(chan error, 1)
	go func() { served <- c.Serve() }()
	go func() { _, _ = io.Copy(io.Discard, cn) }() // ends with the connection
	p := &testPeer{t: t, codec: h2test.NewCodec()}
	b := p.codec.Append(nil, h2test.Raw(frame.Preface))
	b = p.codec.Append(b, h2test.Settings())
	b = p.codec.Append(b, h2test.Ack)
	r := h2test.Post(1)
	r.Fields = append(r.Fields, h2test.Fields("content-length: 6291456")...)
	b = p.codec.Append(b, r)
	body := func(n int, end bool) {
		for n > 0 {
			k := min(n, frame.MinMaxFrameSize)
			n -= k
			b = frame.Data{StreamID: 1, Data: make([]byte, k), EndStream: end && n == 0}.Append(b)
		}
		if _, err := cn.Write(b); err != nil {
			t.Error(err)
		}
		b = b[:0]
	}
	body(before, false)
	if n := <-arrived; n != before {
		t.Errorf("%d octets have come", n)
	}
	body(size-before, true)
	if n := <-arrived; n != size {
		t.Errorf("%d octets have come", n)
	}
	_ = cn.Close()
	<-served
}
