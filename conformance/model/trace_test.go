package model

import (
	"fmt"
	"time"

	"github.com/sluice-go/sluice/conn"
)

// tracer prints the frames of a script whose testbed has trace=1, for a person who looks for the
// fault.
type tracer struct {
	start time.Time
}

// TraceFrame prints one frame.
func (t tracer) TraceFrame(c *conn.Conn, f conn.FrameTrace) {
	fmt.Printf("%8.3f %s %-3v %v %x\n", time.Since(t.start).Seconds(), c.NetConn().LocalAddr(), f.Direction, f.Header,
		f.Payload[:min(len(f.Payload), 16)])
}

// tracer returns nil where nothing is to be printed.
func (w *testbed) tracer() conn.Tracer {
	if w.cfg.num("trace", 0) == 0 {
		return nil
	}
	return tracer{start: time.Now()}
}
