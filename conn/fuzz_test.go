package conn

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// script is a fuzzer's input, which says step by step what the peer does.
type script []byte

func (s *script) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	b := (*s)[0]
	*s = (*s)[1:]
	return b
}

func (s *script) bytes(n int) []byte {
	n = min(n, len(*s))
	b := (*s)[:n]
	*s = (*s)[n:]
	return b
}

// step returns what the peer sends next; nothing for a step of another kind.
func (s *script) step(p *testPeer, last *uint32) any {
	op := s.byte()
	id := uint32(s.byte() % 16)
	if op&0x80 != 0 { // mostly well-formed: a stream that there is, or is to come
		id = *last
	}
	switch op % 16 {
	case 0, 1, 2:
		if op&0x40 == 0 {
			*last += 2
			id = *last
		}
		h := h2test.Post(id)
		if p.role == core.Client {
			h = h2test.Response(id, 100+int(s.byte())*2)
		}
		h.EndStream = op&0x20 != 0
		return h
	case 3:
		return h2test.Block{StreamID: id, Fields: h2test.Fields("trailer: x"), EndStream: op&0x20 == 0}
	case 4:
		return frame.Headers{
			StreamID:   id,
			EndHeaders: op&0x20 == 0,
			EndStream:  op&0x40 == 0,
			Fragment:   s.bytes(int(s.byte())),
		}
	case 5:
		return frame.Continuation{StreamID: id, EndHeaders: op&0x20 == 0, Fragment: s.bytes(int(s.byte()))}
	case 6, 7:
		return frame.Data{StreamID: id, EndStream: op&0x20 != 0, Data: make([]byte, int(s.byte())<<(op>>6))}
	case 8:
		return frame.RSTStream{StreamID: id, Code: frame.Code(s.byte() % 16)}
	case 9:
		return frame.WindowUpdate{StreamID: id, Increment: uint32(s.byte()) << (s.byte() % 32) & frame.MaxWindow}
	case 10:
		return h2test.Settings(frame.Setting{ID: frame.SettingID(s.byte() % 10), Value: uint32(s.byte()) << (s.byte() % 32)})
	case 11:
		return frame.Ping{Ack: op&0x20 != 0, Data: [8]byte(append(s.bytes(8), make([]byte, 8)...))}
	case 12:
		if op&0x20 != 0 {
			return frame.PushPromise{
				StreamID:   id,
				PromisedID: uint32(s.byte()),
				EndHeaders: true,
				Fragment:   p.codec.Block(h2test.Get(id).Fields...),
			}
		}
		return frame.GoAway{LastStreamID: id, Code: frame.Code(s.byte() % 16)}
	case 13:
		return frame.Unknown{
			Header:  frame.Header{Type: frame.Type(s.byte()), Flags: frame.Flags(s.byte()), StreamID: id},
			Payload: s.bytes(int(op >> 4)),
		}
	case 14:
		return h2test.Raw(s.bytes(1 + int(op>>4)))
	default:
		time.Sleep(time.Duration(s.byte()) << (op >> 4) * time.Millisecond)
		return nil
	}
}

// whim is a user of streams that does one thing or another, by the identifier.
func whim(st *Stream) {
	switch st.ID() % 32 / 2 {
	case 0:
		return
	case 1:
		_ = st.Reply(status2(200), make([]byte, 20_000), h2test.Fields("a: b"))
	case 2:
		st.CloseRead()
		_ = st.Reply(status2(200), nil, nil)
	case 3:
		_ = st.SetWriteDeadline(time.Now().Add(time.Second))
		_ = st.Reply(status2(200), make([]byte, 10_000), nil)
	case 4:
		_ = st.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.ReadAll(st)
		st.Reset(frame.InternalError)
	default:
		echo(st)
	}
}

// run lets the peer do what the script says. Whatever that is: the connection says only what is
// well-formed (which frames checks), ends when its socket does, and leaves no goroutine (which the
// bubble checks).
func (s script) run(t *testing.T, p *testPeer) {
	t.Cleanup(func() {
		_ = p.nc.Close()
		time.Sleep(time.Hour)
		_ = p.wantServed("the socket is closed")
	})
	if s.byte()%8 != 0 {
		p.greet(h2test.InitialWindow(uint32(s.byte()) << 4))
	} else if p.role == core.Client {
		p.readPreface()
	}
	last := uint32(1) // skipped, or the client's first
	for len(s) > 0 {
		var b []byte
		for range 1 + s.byte()%4 {
			if f := s.step(p, &last); f != nil {
				b = p.codec.Append(b, f)
			}
		}
		_ = p.nc.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := p.nc.Write(b); err != nil {
			return
		}
		synctest.Wait()
		for range p.frames() {
		}
	}
}

func scripts(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\xff\x00\x00\x00\x06\x80\x40\x0f\x10"))
	for i := range 8 {
		f.Add(pattern(uint32(i), 300))
	}
	// A few requests with bodies, windows, resets and time between them.
	f.Add(
		[]byte{1, 1, 3, 0, 0, 0, 0, 0x86, 0, 200, 0x86, 0, 100, 3, 0, 0, 0x89, 0, 255, 4, 0x2f, 200, 0x88, 0, 8, 0xa6, 0, 50},
	)
}

func FuzzServe(f *testing.F) {
	scripts(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := makeTestPeer(t, core.Server, Config{
				MaxReceiveBufferPerStream: 10_000, IdleTimeout: time.Minute, SendPingTimeout: 10 * time.Second,
				MaxConnectionAge: 10 * time.Minute, StallTimeout: time.Minute,
			}, memconn.Options{})
			p.h.onStreams = handlerFunc(whim).HandleStreams
			p.serve()
			script(b).run(t, p)
		})
	})
}

func FuzzClient(f *testing.F) {
	scripts(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		synctest.Test(t, func(t *testing.T) {
			p := makeTestPeer(
				t,
				core.Client,
				Config{EnablePush: len(b)%2 == 0, MaxReceiveBufferPerStream: 10_000},
				memconn.Options{},
			)
			p.serve()
			for i := range 8 {
				h := h2test.Post(0)
				h.EndStream = i%2 == 0
				go func() { // ends with the connection
					st, err := openStream(p.client, h.Fields, h.EndStream)
					if err != nil {
						return
					}
					defer st.Release()
					if !h.EndStream {
						_, _ = st.Write(make([]byte, 5000))
						_ = st.Finish(nil, h2test.Fields("a: b"))
					}
					p.c.Flush()
					if _, err := headOf(st); err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, st)
				}()
			}
			script(b).run(t, p)
		})
	})
}
