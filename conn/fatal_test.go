package conn

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

func TestFatalError(t *testing.T) {
	faults := []struct {
		name  string
		send  []any
		code  frame.Code
		debug string
	}{
		{"DATA on an idle stream", []any{h2test.Data(5, "x")}, frame.ProtocolError, ""},
		{"frame too large", []any{h2test.Raw("\x00\x40\x01\x00\x00\x00\x00\x00\x01")}, frame.FrameSizeError, ""},
		{"HPACK", []any{frame.Headers{StreamID: 3, EndHeaders: true, Fragment: []byte{0x80}}}, frame.CompressionError, ""},
		{"SETTINGS", []any{h2test.Settings(h2test.InitialWindow(1 << 31))}, frame.FlowControlError, ""},
		{"window", []any{h2test.WindowUpdate(0, 1<<31-1)}, frame.FlowControlError, ""},
	}
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var counted []string
				p := newTestPeer(t, Config{CountError: func(s string) { counted = append(counted, s) }})
				st := p.open(h2test.Post(1))
				k := p.start(func() (int, error) { return st.Read(make([]byte, 1)) })
				// What follows the fault is not looked at, nor is it answered.
				p.send(append(tt.send, h2test.Ping("ignored?"), h2test.Get(7), h2test.Raw("garbage"))...)
				var got []any
				for f := range p.frames() {
					got = append(got, f)
				}
				if len(got) != 1 {
					t.Fatalf("got %v, want one GOAWAY", got)
				}
				g, ok := got[0].(frame.GoAway)
				if !ok || g.Code != tt.code || g.LastStreamID != 1 || len(g.DebugData) < 10 {
					t.Errorf("got %v", got[0])
				}
				k.want("readers are told", 0, tt.code)
				if testKind != memconn.NoCloseWrite {
					p.wantEOF("our side is closed")
				}
				p.send(h2test.Get(9), h2test.Raw("more garbage"))
				p.wantServing("lingering")
				time.Sleep(lingerTime)
				if err := p.wantServed("lingering has an end"); !errors.Is(err, tt.code) {
					t.Errorf("Serve returned %v", err)
				}
				if len(p.h.streams) != 1 {
					t.Errorf("streams after the fault were handed over: %v", p.h.streams)
				}
				if want := []string{"conn_" + tt.code.String()}; !slices.Equal(counted, want) {
					t.Errorf("CountError was told %v, want %v", counted, want)
				}
				if _, err := p.nc.Write([]byte("x")); err == nil {
					t.Error("the socket is open")
				}
				st.Release()
			})
		})
	}
}

// The peer sends all the time: it can read the GOAWAY, and the connection ends after a second.
func TestLingeringIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		start := time.Now()
		p.send(h2test.Data(1, "fault"))
		for {
			if _, err := p.nc.Write(make([]byte, 1000)); err != nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(start); d < lingerTime || d > lingerTime+20*time.Millisecond {
			t.Errorf("the connection lingered for %v", d)
		}
		_ = p.wantServed("at once")
		p.want("GOAWAY was there to read", h2test.GoAway(0, frame.ProtocolError, "recv DATA in state idle (RFC 9113 §5.1)"))
	})
}

// A peer that closes its side ends the lingering.
func TestLingeringEndsWithThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		p.nc.Write(p.codec.Append(nil, h2test.Data(1, "fault")))
		_ = p.nc.CloseWrite()
		_ = p.wantServed("at once")
		p.want("GOAWAY is not lost", h2test.GoAway(0, frame.ProtocolError, "recv DATA in state idle (RFC 9113 §5.1)"))
	})
}

// GOAWAY must not be overtaken by the end of the peer's side, whichever side ends the connection.
func TestGoAwayBeforeEOF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			p := newTestPeer(t, Config{})
			p.nc.Write(p.codec.Append(nil, h2test.Ping("?")))
			p.c.CloseWithError(frame.EnhanceYourCalm, "go")
			_ = p.nc.CloseWrite()
			_ = p.wantServed("at once")
			var last any
			for last = range p.frames() {
			}
			if g, ok := last.(frame.GoAway); !ok || g.Code != frame.EnhanceYourCalm {
				t.Fatalf("the last frame is %v", last)
			}
		}
	})
}

// A peer that reads nothing cannot keep the connection by it.
func TestFatalErrorWithBlockedSocket(t *testing.T) {
	for _, cfg := range []Config{{}, {WriteByteTimeout: -1}, {WriteByteTimeout: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			p := newBlockedPeer(t, cfg)
			st := p.open(h2test.Get(1))
			check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
			k := p.start(func() (int, error) {
				_, err := st.Write(make([]byte, 1<<20))
				return 0, err
			})
			p.send(h2test.Data(9, "fault"))
			k.want("the stream is over, though its writer's write goes on", 0, frame.ProtocolError)
			st.Release()
			time.Sleep(closeGrace + tick)
			if err := p.wantServed("the last words took too long"); !errors.Is(err, frame.ProtocolError) {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}

// Nor can one that reads an octet now and then.
func TestFatalErrorWithDrippingReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newBlockedPeer(t, Config{})
		st := p.open(h2test.Get(1))
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		k := p.start(func() (int, error) {
			_, err := st.Write(make([]byte, 1<<20))
			return 0, err
		})
		p.send(h2test.Data(9, "fault"))
		start := time.Now()
		for {
			if _, err := p.nc.Write([]byte{0}); err != nil {
				break
			}
			_, _ = p.nc.Read(make([]byte, 1))
			time.Sleep(100 * time.Millisecond)
		}
		if d := time.Since(start); d > closeGrace+time.Second {
			t.Errorf("the connection lived on for %v", d)
		}
		k.want("stream is over", 0, frame.ProtocolError)
		st.Release()
	})
}

func TestCloseWithError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		p.c.CloseWithError(frame.NoError, "")
		p.c.CloseWithError(frame.InternalError, "too late")
		p.want("the first counts", h2test.GoAway(1, frame.NoError, ""), h2test.Ping("sluiceby"))
		if err := st.WriteHeaders(status2(200), true); !errors.Is(err, frame.NoError) {
			t.Errorf("WriteHeaders: %v", err)
		}
		st.Release()
		p.wantCleanEnd("NO_ERROR without a text is the end in good order")
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		check(t, "WriteHeaders", st.WriteHeaders(status2(200), false))
		check(t, "Close", p.c.Close())
		check(t, "Close", p.c.Close())
		if err := p.wantServed("at once"); err == nil {
			t.Error("Serve returned no error")
		}
		if _, err := st.Write([]byte("x")); !errors.Is(err, frame.NoError) || errors.Is(err, core.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
		st.Release()
		p.c.Flush()
		p.wantEOF("nothing is said")
	})
}

func TestHeaderTimeout(t *testing.T) {
	q := testPeer{codec: h2test.NewCodec()}
	block := q.codec.Block(h2test.Get(1).Fields...)
	drips := map[string][]byte{
		"frame header": q.codec.Append(nil, h2test.Ping("12345678")),
		"HEADERS":      frame.Headers{StreamID: 1, EndStream: true, EndHeaders: true, Fragment: block}.Append(nil),
		"CONTINUATION": frame.Continuation{StreamID: 1, Fragment: block[2:], EndHeaders: true}.Append(
			frame.Headers{StreamID: 1, EndStream: true, Fragment: block[:2]}.Append(nil)),
	}
	for name, b := range drips {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const timeout = 5 * time.Second
				p := newTestPeer(t, Config{HeaderTimeout: timeout})
				step := (timeout + time.Second) / time.Duration(len(b)-1)
				start := time.Now()
				for i := range b {
					if _, err := p.nc.Write(b[i : i+1]); err != nil {
						break
					}
					time.Sleep(step)
				}
				if d := time.Since(start); d < timeout {
					t.Errorf("the connection ended after %v", d)
				}
				p.want(
					"GOAWAY",
					h2test.GoAway(0, frame.EnhanceYourCalm, "frame or header block not completed in time (RFC 9113 §10.5)"),
				)
				p.wantEOF("the connection ends")
			})
		})
	}
}

// A header block that is open when the peer has let too much output pile up gets HeaderTimeout once
// that is gone, also where its first frame was read into a buffer that is kept no longer.
func TestHeaderTimeoutBehindFullOutput(t *testing.T) {
	for _, length := range []int{10_000, bulkReadSize + 10_000} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var streams []*Stream
				reply := func(st *Stream) {
					if err := st.Reply(status2(200, "x-large", string(make([]byte, keepLimit))), nil, nil); err != nil {
						t.Error(err)
					}
					st.Release()
				}
				p := newBlockedPeer(t, Config{
					HeaderTimeout: 5 * time.Second, WriteByteTimeout: time.Hour, MaxReadFrameSize: 1 << 20,
					FramePolicy: func(_ *Conn, h frame.Header, _ []byte) error {
						if h.Length == uint32(length) { // the reader finds the output full when it reads next
							for _, st := range streams {
								reply(st)
							}
						}
						return nil
					},
				})
				p.h.onStreams = func(batch []*Stream) { streams = append(streams, batch...) }
				p.send(gets(1, 60)...)
				reply(streams[0])
				streams = streams[1:]
				go p.c.Flush()
				synctest.Wait() // the socket is full
				p.send(h2test.Raw(frame.Headers{StreamID: 201, Fragment: make([]byte, length)}.Append(nil)))
				time.Sleep(time.Minute) // the block is late because of us
				answers := 0
				for range p.frames() {
					answers++
				}
				if answers != 60 {
					t.Errorf("%d answers have come", answers)
				}
				time.Sleep(5*time.Second - 1)
				p.want("in time")
				time.Sleep(1)
				p.want("late",
					h2test.GoAway(119, frame.EnhanceYourCalm, "frame or header block not completed in time (RFC 9113 §10.5)"))
				p.wantEOF("the connection ends")
			})
		})
	}
}

// A peer that sends all the time, though no read ever ends with a frame, is not slow.
func TestHeaderTimeoutSparesUploads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{HeaderTimeout: 5 * time.Second})
		st := p.open(h2test.Post(1))
		st.CloseRead()
		var b []byte
		for range 120 {
			b = h2test.Data(1, string(make([]byte, 1000))).Append(b)
			n := len(b) - 500 // the last frame is in two reads
			p.send(h2test.Raw(b[:n]))
			b = b[n:]
			time.Sleep(time.Second)
		}
		p.send(h2test.Raw(b), h2test.Ping("12345678"))
		var last any
		for last = range p.frames() {
		}
		if last != h2test.PingAck("12345678") {
			t.Errorf("the last frame is %v", last)
		}
		st.Release()
	})
}

func TestSlowFirstFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{}, memconn.Options{MaxRead: 1})
		p.greet()
		p.send(h2test.Get(1).With("one: octet", "a: read"))
		p.stream(1).Release()
	})
}

func TestStreamFaultsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var counted []string
		p := newTestPeer(t, Config{CountError: func(s string) { counted = append(counted, s) }})
		p.send(h2test.Get(1).With("Upper: 1"))
		p.want("a request that opens no stream", h2test.RST(1, frame.ProtocolError))
		st := p.open(h2test.Post(3))
		p.send(h2test.WindowUpdate(3, 1<<31-1))
		p.want("a fault on a stream", h2test.RST(3, frame.FlowControlError))
		st.Release()
		if want := []string{"stream_PROTOCOL_ERROR", "stream_FLOW_CONTROL_ERROR"}; !slices.Equal(counted, want) {
			t.Errorf("CountError was told %v, want %v", counted, want)
		}
	})
}
