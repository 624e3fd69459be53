package inspect

import (
	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// chosen are the streams, and the connections, that something is wrong with.
type chosen struct {
	streams map[conn]bool // stream 0 is the connection as such
	full    bool
}

// maxChosen bounds the streams that are kept.
const maxChosen = 1 << 20

// event is a capture.Handler.
func (c *chosen) event(e capture.Event) {
	stream, _ := streamOf(e)
	wrong := false
	switch e := e.(type) {
	case *capture.Frame:
		switch f := e.Parsed.(type) {
		case frame.RSTStream:
			wrong = f.Code != frame.NoError
		case frame.GoAway:
			wrong = f.Code != frame.NoError
		}
		wrong = wrong || e.Err != nil
	case *capture.Request:
		wrong = e.Status == 0 || e.Status >= 400 || e.ResetBy != "" && e.ResetCode != frame.NoError
	case *capture.Finding:
		wrong = e.Severity != capture.Note
	case *capture.Gap:
		wrong = true
	case *capture.Connection:
		wrong = e.Problem != ""
	case *capture.End:
		wrong = e.How == "reset"
	}
	if !wrong {
		return
	}
	if len(c.streams) >= maxChosen {
		c.full = true
		return
	}
	c.streams[conn{e.ConnID(), stream}] = true
}

// has reports whether something is wrong with a stream. That which is wrong with a connection is
// shown with the frames of stream 0.
func (c *chosen) has(id uint64, stream uint32) bool { return c.streams[conn{id, stream}] }

// promised is the stream that a PUSH_PROMISE frame promises; 0 for other frames.
func promised(f *capture.Frame) uint32 {
	if p, ok := f.Parsed.(frame.PushPromise); ok {
		return p.PromisedID
	}
	return 0
}
