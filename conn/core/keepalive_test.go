package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

const keepalivePingLine = `PING "sluiceka"`

// keepalive returns a client whose keepalive PINGs follow ten seconds of silence, one between two
// messages.
func keepalive(t *testing.T) *peer {
	return newPeer(t, Client, func(cfg *Config) {
		cfg.PingInterval, cfg.PingTimeout, cfg.PingBudget = 10*time.Second, 5*time.Second, 1
		cfg.EnablePush = true
	})
}

// A server that counts PINGs without HEADERS or DATA between them has nothing to count.
func TestKeepaliveBudget(t *testing.T) {
	p := keepalive(t)
	ack := frame.Ping{Ack: true, Data: keepalivePing}
	// A header block counts whole, in however many frames it comes.
	for _, traffic := range []any{
		"open", h2test.Response(1, 103).Cut(2), h2test.Promise(1, 2), h2test.Promise(1, 4, "x: y").Cut(2),
		h2test.Response(1, 200).End(),
	} {
		p.tick(10 * time.Second)
		p.want(fmt.Sprint("silence before ", traffic), keepalivePingLine)
		p.send(ack)
		for range 3 {
			p.tick(time.Minute)
		}
		p.want("the budget is used up")
		if traffic == "open" {
			p.open(true)
			p.take()
		} else {
			p.send(traffic)
		}
		p.outcome()
	}
}

func TestProbe(t *testing.T) {
	p := keepalive(t)
	p.c.Probe(p.now)
	p.take()
	p.want("at once", keepalivePingLine)
	p.c.Probe(p.now)
	p.take()
	p.want("one is under way")
	p.tick(5 * time.Second)
	p.wantDead("no answer", frame.NoError, "PING")
}

// The answers to PINGs of our user are not charged to the peer.
func TestPingAnswersAreFree(t *testing.T) {
	p := newPeer(t, Client)
	for i := range 5000 {
		data := [8]byte{1: byte(i >> 8), 2: byte(i)}
		p.c.Ping(data)
		p.c.Output(nil)
		p.send(frame.Ping{Ack: true, Data: data})
	}
	p.outcome()
	p.alive("5000 answers")
}

func TestInterimLimit(t *testing.T) {
	p := newPeer(t, Client, func(cfg *Config) { cfg.Limits.MaxInterim = 64 })
	p.open(true)
	p.outcome()
	for range 64 {
		p.send(h2test.Response(1, 103))
	}
	p.outcome()
	p.send(h2test.Response(1, 103))
	p.want("one too many", "RST_STREAM 1 ENHANCE_YOUR_CALM")
}
