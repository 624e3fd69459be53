package server

import (
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream/priority"
)

// responses is a handler whose responses are longer than the connection's window.
var responses = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(make([]byte, 1<<20)) // fails when the test is over
})

// wantTurns asks for two responses, of which the client wants the second first, and looks whose
// DATA comes: what both of them wait for is the window of their streams, so that neither is ahead
// when it opens.
func (p *peer) wantTurns(why string, streams ...string) {
	p.t.Helper()
	p.write(frame.AppendSettings([]byte(frame.Preface), frame.Setting{ID: frame.SettingInitialWindowSize}))
	p.write(frame.AppendSettingsAck(nil))
	p.send(p.request(1, "GET", "/", true, "priority", "u=7"), p.request(3, "GET", "/", true, "priority", "u=0"))
	synctest.Wait()
	p.take()
	p.send(frame.WindowUpdate{StreamID: 1, Increment: 1 << 20}, frame.WindowUpdate{StreamID: 3, Increment: 1 << 20})
	var want []string
	for i, id := range streams {
		octets := "16384"
		if i == len(streams)-1 {
			octets = "16383" // the window of the connection is 65535
		}
		want = append(want, "DATA "+id+" "+octets+" octets")
	}
	p.want(why, want...)
}

func TestDisableClientPriority(t *testing.T) {
	needsLargeReads(t)
	for _, tt := range []struct {
		name    string
		disable bool
		cfg     Config
		streams []string
	}{
		{"not set", false, Config{}, []string{"3", "3", "3", "3"}},
		{"set", true, Config{}, []string{"1", "3", "1", "3"}},
		{"set, with a scheduler", true, Config{Scheduler: priority.NewExtensible}, []string{"3", "3", "3", "3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := dialPeer(t, &Server{Handler: responses, DisableClientPriority: tt.disable, Config: tt.cfg})
				p.wantTurns("DATA", tt.streams...)
				p.close()
			})
		})
	}
}
