package conn

import (
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// firstSettings are what a server with the zero Config announces.
func firstSettings() frame.Settings {
	return h2test.Settings(
		frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: DefaultMaxConcurrentStreams},
		h2test.InitialWindow(DefaultMaxReceiveBufferPerStream),
		frame.Setting{ID: frame.SettingMaxHeaderListSize, Value: DefaultMaxHeaderBytes},
	)
}

func TestFirstFlightIsOneWrite(t *testing.T) {
	for _, role := range []core.Role{core.Server, core.Client} {
		t.Run(role.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startTestPeer(t, role, Config{}, memconn.Options{})
				synctest.Wait()
				if writes := p.writes(); writes != 1 {
					t.Errorf("the first flight took %d writes", writes)
				}
				if n := p.far.Buffered(); n > 1200 {
					t.Errorf("the first flight is %d octets long: more than fits one packet", n)
				}
				p.greet()
				p.wantIdle("nothing follows the exchange of SETTINGS")
			})
		})
	}
}

func TestServerDoesNotWaitForTheClientsPreface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{}, memconn.Options{})
		p.want("SETTINGS and WINDOW_UPDATE come at once", firstSettings(),
			h2test.WindowUpdate(0, DefaultMaxReceiveBufferPerConnection-frame.DefaultWindow))
		p.wantStates("nothing is known of the client", "")
		p.send(h2test.Raw(frame.Preface), h2test.Settings())
		p.want("the client's SETTINGS are acknowledged", h2test.Ack)
		p.wantStates("the connection is idle after the preface", "idle")
	})
}

func TestReceivedOctets(t *testing.T) {
	p := testPeer{codec: h2test.NewCodec()}
	var all []byte
	for _, f := range []any{h2test.Raw(frame.Preface), h2test.Settings(), h2test.Get(1)} {
		all = p.codec.Append(all, f)
	}
	for _, cut := range []int{1, 24, 30, 33, 40, len(all)} {
		synctest.Test(t, func(t *testing.T) {
			received := append([]byte(nil), all[:cut]...)
			p := startTestPeer(t, core.Server, Config{Received: received}, memconn.Options{})
			synctest.Wait()
			clear(received) // it was copied, or handled
			if cut < len(all) {
				p.send(h2test.Raw(all[cut:]))
			}
			check(t, "Reply", p.stream(1).Reply(status2(204), nil, nil))
			p.stream(1).Release()
			p.c.Flush()
			p.want(
				"the request is answered",
				firstSettings(),
				h2test.WindowUpdate(0, DefaultMaxReceiveBufferPerConnection-frame.DefaultWindow),
				h2test.Ack,
				h2test.Response(1, 204).End(),
			)
		})
	}
}

func TestReceivedMoreThanOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := testPeer{codec: h2test.NewCodec()}
		b := q.codec.Append(nil, h2test.Raw(frame.Preface))
		b = q.codec.Append(b, h2test.Settings())
		for len(b) < 2*readSize {
			b = q.codec.Append(b, frame.Unknown{Header: frame.Header{Type: 0xbe}, Payload: make([]byte, 1000)})
		}
		b = q.codec.Append(b, h2test.Get(1))
		p := startTestPeer(t, core.Server, Config{Received: b}, memconn.Options{})
		p.stream(1).Release()
		p.send(h2test.Get(3))
		p.stream(3).Release()
	})
}

func TestPrefaceTimeout(t *testing.T) {
	for _, said := range []h2test.Raw{"", "PRI * HT", frame.Preface} {
		synctest.Test(t, func(t *testing.T) {
			p := startTestPeer(t, core.Server, Config{PrefaceTimeout: 3 * time.Second}, memconn.Options{})
			p.send(said)
			p.want(
				"first flight",
				firstSettings(),
				h2test.WindowUpdate(0, DefaultMaxReceiveBufferPerConnection-frame.DefaultWindow),
			)
			time.Sleep(3*time.Second - 10)
			p.wantIdle("there is time left")
			time.Sleep(10)
			p.want("GOAWAY", h2test.GoAway(0, frame.ProtocolError, "no connection preface in time (RFC 9113 §3.4)"))
			p.wantEOF("the connection ends")
			time.Sleep(lingerTime)
			if err := p.wantServed("after lingering"); !errors.Is(err, frame.ProtocolError) {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}

func TestSettingsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{SettingsTimeout: 5 * time.Second}, memconn.Options{})
		p.send(h2test.Raw(frame.Preface), h2test.Settings())
		for range p.frames() {
		}
		time.Sleep(5*time.Second - 10)
		p.wantIdle("there is time left")
		time.Sleep(10)
		p.want("GOAWAY", h2test.GoAway(0, frame.SettingsTimeout, "SETTINGS not acknowledged in time (RFC 9113 §6.5.3)"))
		p.wantEOF("the connection ends")
	})
}

func TestNoTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startTestPeer(t, core.Server, Config{
			PrefaceTimeout: -1, SettingsTimeout: -1, HeaderTimeout: -1, StallTimeout: -1, WriteByteTimeout: -1,
		}, memconn.Options{})
		p.send(h2test.Raw(frame.Preface[:5]))
		for range p.frames() {
		}
		time.Sleep(24 * time.Hour)
		p.wantIdle("there is no limit")
		p.send(h2test.Raw(frame.Preface[5:]), h2test.Settings())
		time.Sleep(24 * time.Hour)
		p.want("SETTINGS are acknowledged", h2test.Ack)
		p.wantIdle("there is no limit")
	})
}

func TestCloseWithErrorBeforeServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTestPeer(t, core.Server, Config{}, memconn.Options{})
		p.c.CloseWithError(frame.InadequateSecurity, "TLS 1.2 or higher is required")
		p.serve()
		p.want("SETTINGS come first all the same", firstSettings(),
			h2test.WindowUpdate(0, DefaultMaxReceiveBufferPerConnection-frame.DefaultWindow),
			h2test.GoAway(0, frame.InadequateSecurity, "TLS 1.2 or higher is required"))
		p.wantEOF("the connection ends")
		time.Sleep(lingerTime)
		if err := p.wantServed("after lingering"); !errors.Is(err, frame.InadequateSecurity) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

func TestCloseBeforeServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTestPeer(t, core.Server, Config{MaxConnectionAge: time.Hour}, memconn.Options{})
		check(t, "Close", p.c.Close())
		p.serve()
		if err := p.wantServed("at once"); err == nil {
			t.Error("Serve returned no error")
		}
		p.wantEOF("nothing was said")
	})
}

func upgradeSettings(s ...frame.Setting) []byte {
	var b []byte
	for _, s := range s {
		b = binary.BigEndian.AppendUint16(b, uint16(s.ID))
		b = binary.BigEndian.AppendUint32(b, s.Value)
	}
	return b
}

func upgradeRequest() header.Message {
	return header.Message{
		Method: "GET", Scheme: "http", Authority: "example.com", Path: "/", ContentLength: -1,
		Fields: h2test.Fields("accept: */*"),
	}
}

func TestUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req := upgradeRequest()
		p := startTestPeer(t, core.Server, Config{Upgrade: &Upgrade{
			Settings: upgradeSettings(h2test.InitialWindow(3)), Request: req,
		}}, memconn.Options{})
		p.want(
			"first flight",
			firstSettings(),
			h2test.WindowUpdate(0, DefaultMaxReceiveBufferPerConnection-frame.DefaultWindow),
		)
		p.send(h2test.Raw(frame.Preface))
		st := p.stream(1)
		if m := st.Message(); m.Path != "/" || len(m.Fields) != 1 || !st.RemoteEnded() {
			t.Errorf("stream 1 is %+v", m)
		}
		p.wantStates("the request makes the connection active", "active")
		check(t, "Reply", st.Reply(status2(200), []byte("hello"), nil))
		st.Release()
		p.c.Flush()
		p.want("the window of HTTP2-Settings holds", h2test.Response(1, 200), h2test.Data(1, "hel"))
		p.send(h2test.Settings(), h2test.WindowUpdate(1, 10))
		p.want("the client's SETTINGS come afterwards", h2test.Ack, h2test.DataEnd(1, "lo"))
		p.wantStates("stream 1 has ended", "active idle")

		p.send(h2test.Get(3).With("accept: text/html"))
		p.stream(3).Release()
		if req.Fields[0].Value != "*/*" {
			t.Error("the request that the caller gave was changed")
		}
	})
}

func TestUpgradeWithBadSettings(t *testing.T) {
	for name, s := range map[string][]byte{
		"length": {1, 2, 3},
		"value":  upgradeSettings(h2test.InitialWindow(1 << 31)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := startTestPeer(
					t,
					core.Server,
					Config{Upgrade: &Upgrade{Settings: s, Request: upgradeRequest()}},
					memconn.Options{},
				)
				var last any
				for last = range p.frames() {
				}
				if f, ok := last.(frame.GoAway); !ok || f.Code == frame.NoError {
					t.Errorf("the last frame is %v", last)
				}
				p.wantEOF("the connection ends")
			})
		})
	}
}

func TestUpgradeOfAConnectionThatIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := makeTestPeer(t, core.Server, Config{Upgrade: &Upgrade{Request: upgradeRequest()}}, memconn.Options{})
		p.c.CloseWithError(frame.InternalError, "no")
		p.serve()
		time.Sleep(lingerTime)
		_ = p.wantServed("after lingering")
		if n := len(p.h.streams); n != 0 {
			t.Errorf("%d streams were handed over", n)
		}
	})
}
