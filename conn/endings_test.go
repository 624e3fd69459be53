package conn

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/internal/socket/tlsbatch"
)

// How long a slow peer may take after its response is counted from the response, also where its
// handler has taken long and nothing has come meanwhile.
func TestLingerAfterALongHandler(t *testing.T) {
	for name, shutdownFirst := range map[string]bool{"in a shutdown": true, "before a shutdown": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{})
				st := p.open(h2test.Get(1))
				if shutdownFirst {
					p.c.Shutdown()
					p.wantDrain("shutdown", 1)
				}
				time.Sleep(time.Hour)
				check(t, "Reply", st.Reply(status2(200), nil, nil))
				st.Release()
				p.c.Flush()
				if !shutdownFirst {
					synctest.Wait()
					p.c.Shutdown()
					synctest.Wait()
					time.Sleep(2 * time.Second) // the PING of the drain is not answered
				}
				time.Sleep(defaultLingerTimeout / 2)
				p.wantServing("the peer is slow")
				time.Sleep(defaultLingerTimeout)
				if err := p.wantServed("it has done nothing for too long"); err != nil {
					t.Errorf("Serve returned %v", err)
				}
			})
		})
	}
}

// A server whose client has said GOAWAY ends with the last response, however long that has taken
// and whether or not the client says anything more.
func TestPeersGoAwayBeforeALongHandler(t *testing.T) {
	for _, grace := range []time.Duration{0, 10 * time.Second} {
		t.Run(grace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{MaxConnectionAgeGrace: grace})
				st := p.open(h2test.Get(1))
				p.send(h2test.GoAway(0, frame.NoError, ""))
				time.Sleep(time.Hour)
				p.wantServing("a stream is open")
				check(t, "Reply", st.Reply(status2(200), nil, nil))
				st.Release()
				p.c.Flush()
				p.want("the answer, and that nothing more is taken", h2test.Response(1, 200).End(),
					h2test.GoAway(frame.MaxStreamID, frame.NoError, ""), h2test.Ping("sluicego"))
				time.Sleep(time.Second + tick)
				p.want("the second step", h2test.GoAway(1, frame.NoError, ""), h2test.Ping("sluiceby"))
				p.send(h2test.PingAck("sluiceby"))
				time.Sleep(lingerTime + tick)
				if err := p.wantServed("all has arrived"); err != nil {
					t.Errorf("Serve returned %v", err)
				}
			})
		})
	}
}

// The last words have their time on every kind of connection, and a peer that reads a little of
// them gets no more.
func TestKindsLastWords(t *testing.T) {
	forKinds(t, func(t *testing.T, sn, cn net.Conn) {
		c := NewServer(sn, Config{}, &testHandler{})
		served := make(chan error)
		go func() { served <- c.Serve() }()
		first := frame.NewSettings().Append([]byte(frame.Preface))
		_, err := cn.Write(h2test.Ack.Append(first))
		check(t, "Write", err)
		synctest.Wait()
		for range 5000 { // more than the buffers hold
			_, err := c.startPing(func(error) {})
			check(t, "startPing", err)
		}
		c.CloseWithError(frame.NoError, "that was all")
		start := time.Now()
		go func() {
			for range 10 {
				time.Sleep(closeGrace / 20)
				_, _ = cn.Read(make([]byte, 100))
			}
		}()
		<-served
		if d := time.Since(start); d > 3*closeGrace {
			t.Errorf("it took %v", d)
		}
		_ = cn.Close()
	})
}

// TLS says that it ends with a record, for which a peer that reads no more may leave no room.
func TestKindsLingerWithoutRoom(t *testing.T) {
	for _, k := range memconn.Kinds() {
		t.Run(k.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := memconn.Pipe(memconn.Options{Buffer: 1})
				cn, sn := overTLS(t, a.Become(k), b.Become(k))
				c := NewServer(sn, Config{}, handlerFunc(func(st *Stream) {
					st.c.Shutdown()
					_ = st.Reply(status2(200), nil, nil)
				}))
				served := make(chan error)
				go func() { served <- c.Serve() }()
				go answerPings(t, cn)
				start := time.Now()
				if err := <-served; err != nil {
					t.Errorf("Serve returned %v", err)
				}
				if d := time.Since(start); d > time.Minute {
					t.Errorf("it took %v", d)
				}
				_ = cn.Close()
			})
		})
	}
}

// answerPings is a client that sends a request and reads until it has answered the PING behind the
// last frame.
func answerPings(t *testing.T, cn net.Conn) {
	p := &testPeer{t: t, codec: h2test.NewCodec()}
	first := p.codec.Append(nil, frame.Preface, h2test.Settings(), h2test.Ack, h2test.Get(1))
	go cn.Write(first)
	var head [frame.HeaderLen]byte
	for {
		if _, err := io.ReadFull(cn, head[:]); err != nil {
			return
		}
		fh := frame.ParseHeader(head[:])
		payload := make([]byte, fh.Length)
		if _, err := io.ReadFull(cn, payload); err != nil {
			return
		}
		if fh.Type == frame.TypePing && !fh.Flags.Has(frame.FlagAck) {
			data := [8]byte(payload)
			_, _ = cn.Write(frame.Ping{Ack: true, Data: data}.Append(nil)) // it may be closed
			if data == lingerPing {
				return
			}
		}
	}
}

// The PING that asks whether all has arrived goes through TLS as everything else.
func TestLingerPingOverTLS(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"TLS writes":           func(nc net.Conn) net.Conn { return nc },
		"records are gathered": func(nc net.Conn) net.Conn { return tlsbatch.New(nc) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := tcpPair(t)
			cn, sn := overTLS(t, a, wrap(b))
			c := NewServer(sn, Config{}, &testHandler{})
			want := frame.Ping{Data: lingerPing}.Append(nil)
			check(t, "askPeer", c.sendLingerPing())
			got := make([]byte, len(want))
			if _, err := io.ReadFull(cn, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("the peer reads %x, %v", got, err)
			}
			check(t, "CloseWrite", sn.CloseWrite())
			if _, err := cn.Read(got); err != io.EOF {
				t.Errorf("behind it: %v", err)
			}
		})
	}
}

// The write deadline of a tunnel that is closed, and has sent all, does not end it.
func TestClosedTunnelOutlivesItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{})
		tun := p.tunnel(1)
		check(t, "SetDeadline", tun.SetDeadline(time.Now().Add(time.Second)))
		check(t, "Close", tun.Close())
		p.want("the end", h2test.DataEnd(1, ""))
		time.Sleep(DefaultTunnelCloseTimeout - tick)
		p.wantIdle("the server may end its direction")
		time.Sleep(2 * tick)
		p.want("it has not", h2test.RST(1, frame.Cancel))
	})
}
