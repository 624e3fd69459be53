package capture

import (
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// A finder finds out what a connection speaks.
type finder struct {
	s    *session
	dirs [2]held
}

func newFinder(s *session) *finder {
	f := &finder{s: s}
	f.dirs[Client].budget, f.dirs[Server].budget = &s.a.held, &s.a.held
	return f
}

// Octets implements wire.Sink.
func (f *finder) Octets(d wire.Dir, t time.Time, p []byte) {
	f.dirs[d].add(t, p)
	c := string(f.dirs[Client].buf)
	if strings.HasPrefix(c, frame.Preface) {
		f.s.found(HTTP2, "preface")
		f.start(newHTTP2(f.s))
	} else if !strings.HasPrefix(frame.Preface, c) {
		f.s.found(Unknown, "")
		f.start(ignored{f.s})
	}
}

// start hands what is held to the next stage.
func (f *finder) start(next wire.Sink) {
	f.s.stage = next
	for d := range f.dirs {
		f.dirs[d].replay(0, func(t time.Time, p []byte) { next.Octets(wire.Dir(d), t, p) },
			func(t time.Time, n int64, why string) { next.Lost(wire.Dir(d), t, n, why) })
	}
}

// Lost implements wire.Sink.
func (f *finder) Lost(d wire.Dir, t time.Time, n int64, why string) { f.dirs[d].addLost(t, n, why) }

// End implements wire.Sink.
func (f *finder) End(wire.Dir, time.Time, wire.How) {}

// ignored takes the octets of what is not shown.
type ignored struct{ s *session }

// Octets implements wire.Sink.
func (ignored) Octets(wire.Dir, time.Time, []byte) {}

// Lost implements wire.Sink.
func (ignored) Lost(wire.Dir, time.Time, int64, string) {}

// End implements wire.Sink.
func (ignored) End(wire.Dir, time.Time, wire.How) {}
