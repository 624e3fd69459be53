package conformance

import (
	"io"
	"log"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/memconn"
	"github.com/sluice-go/sluice/server"
)

// A slowPeer is a rawPeer on an in-memory connection, in a bubble where waiting takes no time.
type slowPeer struct {
	*rawPeer
	server  *server.Server
	started time.Time
	ended   <-chan struct{} // closed when the server has let go of the connection
	tasks   sync.WaitGroup  // what the peer does beside play; it ends once the connection is closed
}

// playSlow serves one connection and has play act as its client.
func playSlow(
	t *testing.T,
	h http.Handler,
	o memconn.Options,
	play func(p *slowPeer),
	configure ...func(*server.Server),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		near, far := memconn.Pipe(o)
		ended := make(chan struct{})
		srv := &server.Server{Handler: h, ErrorLog: log.New(newTestLog(t), "", 0)}
		p := &slowPeer{rawPeer: newRawPeer(t, near), server: srv, started: time.Now(), ended: ended}
		p.patience = time.Hour
		for _, c := range configure {
			c(p.server)
		}
		go func() {
			p.server.ServeConn(far)
			close(ended)
		}()
		play(p)
		near.Close()
		<-ended
		p.tasks.Wait()
		p.server.Close()
	})
}

// wantEndedWithin waits until the server has let go of the connection, which it must by this time
// from the start.
func (p *slowPeer) wantEndedWithin(d time.Duration) {
	p.t.Helper()
	<-p.ended // in a bubble, a wait without end fails the test
	if took := time.Since(p.started); took > d {
		p.t.Errorf("the server held the connection for %v, want at most %v", took, d)
	}
}

// A peer that stops in the middle of something is given a minute or two, whatever it is; one that
// has said nothing yet an hour, since balancers open connections ahead of requests.
func TestHostileSilence(t *testing.T) {
	request := func(p *slowPeer, end bool) []byte {
		block := p.codec.Block(p.request("GET", "/")...)
		return frame.Headers{StreamID: 1, EndStream: true, EndHeaders: end, Fragment: block}.Append(nil)
	}
	tests := []struct {
		name string
		most time.Duration
		send func(p *slowPeer)
	}{
		{"says nothing", time.Hour, func(p *slowPeer) {}},
		{"half the preface", 2 * time.Minute, func(p *slowPeer) { p.out = append(p.out, frame.Preface[:12]...) }},
		{"preface without SETTINGS", 2 * time.Minute, func(p *slowPeer) { p.out = append(p.out, frame.Preface...) }},
		{"SETTINGS not acknowledged", 2 * time.Minute, func(p *slowPeer) {
			p.out = frame.AppendSettings(append(p.out, frame.Preface...))
		}},
		{"half a frame header", 6 * time.Minute, func(p *slowPeer) { p.greet(); p.out = append(p.out, 0, 0, 8) }},
		{"half a frame", 2 * time.Minute, func(p *slowPeer) {
			p.greet()
			b := request(p, true)
			p.out = append(p.out, b[:len(b)-3]...)
		}},
		{"half a header block", 2 * time.Minute, func(p *slowPeer) {
			p.greet()
			p.out = append(p.out, request(p, false)...)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			playSlow(t, testHandler(), memconn.Options{}, func(p *slowPeer) {
				tt.send(p)
				p.mustFlush()
				p.tasks.Go(func() { p.readToEnd() })
				p.wantEndedWithin(tt.most + time.Second)
			})
		})
	}
}

// A header block in drips: each octet is progress, and the block as a whole has its time.
func TestHostileHeaderDrip(t *testing.T) {
	playSlow(t, testHandler(), memconn.Options{}, func(p *slowPeer) {
		p.greet()
		wire := frame.Headers{
			StreamID:   1,
			EndStream:  true,
			EndHeaders: true,
			Fragment:   p.codec.Block(p.request("GET", "/")...),
		}.Append(
			nil,
		)
		p.tasks.Go(func() {
			for _, b := range wire {
				p.out = append(p.out, b)
				if p.flush() != nil {
					return
				}
				time.Sleep(10 * time.Second)
			}
		})
		p.wantEnd(frame.EnhanceYourCalm)
		p.wantEndedWithin(2 * time.Minute)
	})
}

// After a connection error the server closes the connection, whether or not the peer closes its
// side or ever stops sending.
func TestHostileNeverCloses(t *testing.T) {
	playSlow(t, testHandler(), memconn.Options{}, func(p *slowPeer) {
		p.greet().add(frame.Data{Data: []byte("on stream 0")}).mustFlush()
		p.tasks.Go(func() {
			for p.add(frame.Ping{}).flush() == nil {
				time.Sleep(100 * time.Millisecond)
			}
		})
		p.wantEnd(frame.ProtocolError)
		p.wantEndedWithin(30 * time.Second)
	})
}

// The same in the middle of a graceful shutdown (CVE-2022-27664).
func TestHostileErrorInShutdown(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	playSlow(t, h, memconn.Options{}, func(p *slowPeer) {
		p.greet().get(1, "/").mustFlush()
		p.sync()
		synctest.Wait()
		stopped := make(chan error, 1)
		go func() { stopped <- p.server.Shutdown(p.t.Context()) }()
		p.until("GOAWAY", func(f frame.Frame) bool {
			g, ok := f.(frame.GoAway)
			return ok && g.Code == frame.NoError
		})
		p.add(frame.Data{Data: []byte("on stream 0")}).mustFlush()
		p.wantEnd(frame.ProtocolError)
		if err := <-stopped; err != nil {
			p.t.Errorf("Shutdown: %v", err)
		}
		p.wantEndedWithin(30 * time.Second)
	})
}

// Responses that wait for a window which is never opened, or opened an octet at a time
// (CVE-2016-1546, CVE-2019-9511, CVE-2019-9517): the streams are given up, and their handlers with
// them.
func TestHostileClosedWindow(t *testing.T) {
	for _, drip := range []bool{false, true} {
		name := "never opened"
		if drip {
			name = "an octet every five seconds"
		}
		t.Run(name, func(t *testing.T) {
			g := &gate{}
			body := make([]byte, 1<<20)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				g.running.Add(1)
				defer g.running.Add(-1)
				w.Write(body)
			})
			playSlow(t, h, memconn.Options{}, func(p *slowPeer) {
				p.greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: 0})
				for i := range 100 {
					p.get(uint32(2*i+1), "/")
				}
				p.mustFlush()
				p.sync()
				synctest.Wait()
				if n := g.running.Load(); n != 100 {
					t.Errorf("%d handlers wait for the window, want 100", n)
				}
				before := liveHeap()
				p.tasks.Go(func() { p.readToEnd() })
				for range 130 * 60 / 5 { // StallTimeout is an hour; what is slower than it allows is found within two
					time.Sleep(5 * time.Second)
					for i := range 100 {
						if drip {
							p.add(frame.WindowUpdate{StreamID: uint32(2*i + 1), Increment: 1})
						}
					}
					if p.flush() != nil {
						break
					}
				}
				synctest.Wait()
				if n := g.running.Load(); n != 0 {
					t.Errorf("%d handlers still wait after %v", n, time.Since(p.started))
				}
				wantHeap(t, before, 1<<20)
			})
		})
	}
}

// A peer that does not read its socket: the server's writes stop, and after a while so does its
// patience. The answers that wait meanwhile are bounded even for a peer that goes on sending.
func TestHostileSocketNotRead(t *testing.T) {
	t.Run("response", func(t *testing.T) {
		body := make([]byte, 1<<20)
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 100 {
				if _, err := w.Write(body); err != nil {
					return
				}
			}
		})
		playSlow(t, h, memconn.Options{Buffer: 64 << 10}, func(p *slowPeer) {
			p.greet(frame.Setting{ID: frame.SettingInitialWindowSize, Value: frame.MaxWindow})
			p.add(frame.WindowUpdate{Increment: frame.MaxWindow - frame.DefaultWindow})
			p.get(1, "/").mustFlush()
			p.wantEndedWithin(15 * time.Minute) // WriteByteTimeout is five minutes
		})
	})
	t.Run("answers to PING", func(t *testing.T) {
		playSlow(t, testHandler(), memconn.Options{Buffer: 4 << 10}, func(p *slowPeer) {
			p.greet()
			before := liveHeap()
			written := 0
			for ; written < 20_000; written++ {
				if p.add(frame.Ping{}).flush() != nil {
					break
				}
			}
			if written == 20_000 {
				t.Error("20,000 PING frames were taken, whose answers nobody reads")
			}
			wantHeap(t, before, 1<<20)
			p.wantEndedWithin(2 * time.Minute)
		}, func(s *server.Server) { s.Limits.GlitchBurst = -1 })
	})
}

// A handler that reads its body while the client does nothing is woken when the client goes.
func TestHostileVanishes(t *testing.T) {
	g := &gate{}
	var body error // how the body ended, when the handler has returned
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.running.Add(1)
		_, body = io.Copy(io.Discard, r.Body)
		g.running.Add(-1)
	})
	playSlow(t, h, memconn.Options{}, func(p *slowPeer) {
		p.greet().headers(1, false, p.request("POST", "/")...).mustFlush()
		p.sync()
		synctest.Wait()
		if g.running.Load() != 1 {
			p.t.Fatal("the handler does not run")
		}
		p.nc.Close()
		p.wantEndedWithin(time.Minute)
		synctest.Wait()
		if g.running.Load() != 0 {
			p.t.Error("the handler still reads")
		} else if body == nil {
			p.t.Error("the handler read its body to the end, which never came")
		}
	})
}
