package conn

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// startParkable is newTestPeer for a connection that Start runs, and that may be parked. ended gets
// what end was called with.
func startParkable(t *testing.T, cfg Config) (p *testPeer, ended chan error) {
	p = makeTestPeer(t, core.Server, cfg, memconn.Options{})
	p.c.mu.park.allowed = true
	ended = make(chan error, 2)
	p.c.Start(func(err error) { ended <- err })
	p.greet()
	return p, ended
}

func (p *testPeer) parked() bool {
	synctest.Wait()
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.c.mu.park.parked
}

func (p *testPeer) wantParked(msg string, want bool) {
	p.t.Helper()
	if got := p.parked(); got != want {
		p.t.Fatalf("%s: parked is %v, want %v", msg, got, want)
	}
}

// exchange is one request and its answer.
func (p *testPeer) exchange(id uint32) {
	p.t.Helper()
	h := h2test.Post(id)
	h.EndStream = true
	st := p.open(h)
	check(p.t, "Reply", st.Reply(status2(200, "id", fmt.Sprint(id)), []byte("answer"), nil))
	st.Release()
	p.c.Flush()
	answered := false
	for f := range p.frames() {
		if d, ok := f.(frame.Data); ok && d.StreamID == id && string(d.Data) == "answer" {
			answered = true
		}
	}
	if !answered {
		p.t.Fatalf("stream %d was not answered", id)
	}
}

func TestPark(t *testing.T) {
	needsSocket(t)
	synctest.Test(t, func(t *testing.T) {
		p, ended := startParkable(t, Config{})
		id := uint32(1)
		for range 5 {
			p.exchange(id)
			id += 2
			p.wantParked("after an answer", false)
			time.Sleep(parkAfter - 1)
			p.wantParked("before its time", false)
			time.Sleep(parkAfter + 1)
			p.wantParked("when nothing has come", true)
			time.Sleep(time.Hour)
		}
		// What is half here, or under way, keeps it awake.
		half := p.codec.Append(nil, h2test.Post(id))
		p.send(h2test.Raw(half[:12]))
		time.Sleep(5 * parkAfter)
		p.wantParked("half a frame", false)
		p.send(h2test.Raw(half[12:]))
		st := p.stream(id)
		time.Sleep(5 * parkAfter)
		p.wantParked("an open stream", false)
		st.Release()
		p.c.Flush()
		time.Sleep(5 * parkAfter)
		p.wantParked("nothing left", true)
		p.c.Shutdown()
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
		if len(ended) != 0 {
			t.Error("the end was told twice")
		}
	})
}

// What ends a connection ends a parked one, too.
func TestParkEnds(t *testing.T) {
	needsSocket(t)
	for name, end := range map[string]func(p *testPeer){
		"peer":     func(p *testPeer) { _ = p.nc.Close() },
		"Close":    func(p *testPeer) { _ = p.c.Close() },
		"Shutdown": func(p *testPeer) { p.c.Shutdown() },
		"error":    func(p *testPeer) { p.c.CloseWithError(frame.EnhanceYourCalm, "enough") },
		"frame":    func(p *testPeer) { p.send(h2test.Data(0, "fault")) },
		"idle":     func(*testPeer) { time.Sleep(10 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, ended := startParkable(t, Config{IdleTimeout: 5 * time.Minute})
				p.exchange(1)
				time.Sleep(time.Minute)
				p.wantParked("after a minute", true)
				end(p)
				time.Sleep(2 * time.Second)
				_ = p.nc.Close()
				<-ended
				<-p.c.Done()
			})
		})
	}
}

// Whatever comes just when the reader is interrupted to be parked is not lost.
func TestParkAndRequestsTogether(t *testing.T) {
	needsSocket(t)
	synctest.Test(t, func(t *testing.T) {
		p, _ := startParkable(t, Config{})
		rng := rand.New(rand.NewPCG(1, 2))
		slept := 0
		for i := range uint32(500) {
			gap := parkAfter*time.Duration(rng.IntN(4)) + time.Duration(rng.IntN(5)-2)
			time.Sleep(max(gap, 0))
			if rng.IntN(2) == 0 {
				if p.parked() {
					slept++
				}
			}
			p.exchange(2*i + 1)
		}
		if slept == 0 {
			t.Error("it has never rested")
		}
	})
}
