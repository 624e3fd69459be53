package capture

import (
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
)

// http1 reads HTTP/1.1.
type http1 struct{ s *session }

func newHTTP1(s *session) wire.Sink { return &http1{s} }

// Octets implements wire.Sink.
func (h *http1) Octets(d wire.Dir, _ time.Time, p []byte) { h.s.octets[d] += int64(len(p)) }

// Lost implements wire.Sink.
func (h *http1) Lost(d wire.Dir, t time.Time, n int64, _ string) { h.s.lost(Dir(d), t, n) }

// End implements wire.Sink.
func (h *http1) End(wire.Dir, time.Time, wire.How) {}
