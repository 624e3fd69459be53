package conn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/socket"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

func TestVectoredWriter(t *testing.T) {
	segs := []core.Segment{
		{Offset: 4, Data: []byte("first")}, {Offset: 8, Data: []byte("second")}, {Offset: 8, Data: []byte("third")},
	}
	const whole = "headfirstheadsecondthirdtail"
	for step := 1; step <= len(whole); step++ {
		v := &vectoredWriter{segments: &segmentList{segs}, output: []byte("headheadtail"), size: len(whole)}
		for v.sent < v.size {
			got := ""
			v.unwrittenLocked(func(p []byte) {
				if len(p) == 0 {
					t.Error("an empty piece")
				}
				got += string(p)
			})
			if got != whole[v.sent:] {
				t.Fatalf("behind %d octets comes %q", v.sent, got)
			}
			v.wroteLocked(min(step, v.size-v.sent))
		}
		if v.firstUnsent != len(segs) || v.octetsBefore != 16 {
			t.Errorf("%d segments of %d octets are sent", v.firstUnsent, v.octetsBefore)
		}
	}
}

// rawClient opens a connection to a server with the handler h, which has windows for everything,
// and sends it one request.
func rawClient(t *testing.T, secure bool, cfg Config, h handlerFunc) (cn net.Conn, served chan error) {
	tcp, sn := tcpPair(t)
	_ = tcp.SetReadBuffer(64 << 10) // so that not all fits into the socket
	cn = tcp
	c := NewServer(sn, cfg, h)
	if secure {
		client, server := overTLS(t, tcp, tlsbatch.New(sn))
		cn, c = client, NewServer(server, cfg, h)
	}
	served = make(chan error, 1)
	go func() { served <- c.Serve() }()
	p := &testPeer{t: t, codec: h2test.NewCodec()}
	b := p.codec.Append(nil, h2test.Raw(frame.Preface))
	b = p.codec.Append(b, h2test.Settings(h2test.InitialWindow(1<<31-1)))
	b = p.codec.Append(b, h2test.Ack)
	b = p.codec.Append(b, h2test.WindowUpdate(0, 1<<31-1-65535))
	b = p.codec.Append(b, h2test.Get(1))
	if _, err := cn.Write(b); err != nil {
		t.Fatal(err)
	}
	return cn, served
}

// readUntil returns the DATA of stream 1 up to the first frame of type last.
func readUntil(r io.Reader, last frame.Type) (body []byte, err error) {
	var in []byte
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return body, err
		}
		in = append(in, buf[:n]...)
		for {
			h, p, n, err := frame.Split(in, frame.MinMaxFrameSize)
			if err != nil {
				return body, err
			}
			if n == 0 {
				break
			}
			in = in[n:]
			switch {
			case h.Type == frame.TypeData && h.StreamID == 1:
				body = append(body, p...)
			case h.Type == last && !h.Flags.Has(frame.FlagAck) == (last != frame.TypePing):
				return body, nil
			}
		}
	}
}

// A caller that gives up writing may use its memory for something else at once: what has been taken
// of it is as it was.
func TestGivingUpAWrite(t *testing.T) {
	const size = 12 << 20
	for name, c := range map[string]struct {
		deadline bool
		want     error
		last     frame.Type
	}{
		"deadline": {deadline: true, want: os.ErrDeadlineExceeded, last: frame.TypeRSTStream},
		"reset":    {want: frame.Cancel, last: frame.TypePing},
	} {
		for i, piece := range []int{size, 1 << 20, 50_000, size} {
			secure := i == 3
			t.Run(fmt.Sprintf("%s/%d/%v", name, piece, secure), func(t *testing.T) {
				begun, done := make(chan bool), make(chan error, 1)
				cn, served := rawClient(t, secure, Config{}, func(st *Stream) {
					_ = st.WriteHeaders(status2(200), false)
					body := pattern(1, size)
					close(begun)
					if c.deadline {
						_ = st.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
					}
					var err error
					for at := 0; at < size && err == nil; at += piece {
						_, err = st.Write(body[at:min(at+piece, size)])
						clear(body[at:min(at+piece, size)])
					}
					done <- err
				})
				<-begun
				if !c.deadline {
					b := frame.RSTStream{StreamID: 1, Code: frame.Cancel}.Append(nil)
					if _, err := cn.Write(frame.Ping{}.Append(b)); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-done; !errors.Is(err, c.want) {
					t.Errorf("Write returned %v", err)
				}
				got, err := readUntil(cn, c.last)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, pattern(1, size)[:len(got)]) {
					t.Errorf("%d octets have come, which are not those that were written", len(got))
				}
				_ = cn.Close()
				<-served
			})
		}
	}
}

// What is borrowed of a Write is sent, whole and in order, to a client that reads now and then.
func TestLargeWrites(t *testing.T) {
	const size = 9<<20 + 12345
	for i, piece := range []int{directWriteSize - 1, directWriteSize, 1 << 20, size, size} {
		secure := i == 4
		t.Run(fmt.Sprint(piece, secure), func(t *testing.T) {
			cn, served := rawClient(t, secure, Config{}, func(st *Stream) {
				_ = st.WriteHeaders(status2(200), false)
				body := pattern(1, size)
				for at := 0; at < size; at += piece {
					p := body[at:min(at+piece, size)]
					if n, err := st.Write(p); n != len(p) || err != nil {
						t.Errorf("Write of %d octets: %d, %v", len(p), n, err)
					}
					clear(p)
				}
				if st.Err() == nil {
					st.Reset(frame.NoError)
				}
			})
			got, err := readUntil(cn, frame.TypeRSTStream)
			if err != nil || !bytes.Equal(got, pattern(1, size)) {
				t.Errorf("%d octets have come, not those that were written, %v", len(got), err)
			}
			_ = cn.Close()
			<-served
		})
	}
}

// What a client does not read stays where the handler has it.
func TestSlowClientsCostNoMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory is measured, too")
	}
	if !socket.CanWritev {
		t.Skip("on this system all is copied")
	}
	const n, most = 60, 40 << 10
	body := make([]byte, 64<<20)
	before := inUse()
	conns := make(chan *Conn)
	end := func() {}
	for range n {
		cn, served := rawClient(t, false, Config{}, func(st *Stream) {
			_ = st.WriteHeaders(status2(200), false)
			conns <- st.Conn()
			_, _ = st.Write(body) // fails in the end
		})
		c, last := <-conns, end
		untilFull(c)
		end = func() {
			_ = cn.Close()
			<-served
			last()
		}
	}
	if each := (inUse() - before) / n; each > most {
		t.Errorf("a client that does not read costs %d octets", each)
	}
	end()
	runtime.KeepAlive(body)
}
