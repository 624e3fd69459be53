package page

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// batch is how many events go into one write.
	batch = 500
	// writeTimeout is how long a viewer may take for one write.
	writeTimeout = 30 * time.Second
	// keepAlive is how often an idle viewer gets a comment, so that one that is gone is noticed.
	keepAlive = 15 * time.Second
)

// serveEvents writes events as a text/event-stream: those that are kept, then those that come. Each
// message has lines of JSON, one for an event. The id of a message is the place behind it, so that
// a browser that has lost its connection goes on from there.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	if !s.events.enter(s.o.MaxViewers) {
		http.Error(w, "too many viewers", http.StatusServiceUnavailable)
		return
	}
	defer s.events.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	st := stream{w: w, rc: http.NewResponseController(w), epoch: s.events.epoch}
	pos := s.events.resume(r.Header.Get("Last-Event-ID"))
	st.run(r.Context(), &s.events, &pos)
}

// A stream writes events to one viewer.
type stream struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	epoch int64
	buf   []byte
}

// run writes until the viewer is gone or too slow, or the ring is closed.
func (st *stream) run(ctx context.Context, r *ring, pos *position) {
	if !pos.begun {
		st.buf = append(st.buf, "event: begin\ndata: \n\n"...)
	}
	if !st.flush() {
		return
	}
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	var recs []record
	for first := !pos.begun; ; first = false {
		var wait <-chan struct{}
		var missed uint64
		var done bool
		recs, wait, missed, done = r.read(pos, recs[:0], batch)
		switch {
		case missed > 0 && !first:
			st.buf = fmt.Appendf(st.buf, "event: slow\ndata: %d\n\n", missed)
			st.flush()
			return
		case missed > 0:
			st.buf = fmt.Appendf(st.buf, "event: missed\ndata: %d\n\n", missed)
		}
		if !st.write(recs, pos) || done {
			return
		}
		if wait == nil {
			continue
		}
		select {
		case <-wait:
		case <-tick.C:
			st.buf = append(st.buf, ": still here\n\n"...)
			if !st.flush() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// write writes records as one message.
func (st *stream) write(recs []record, pos *position) bool {
	if len(recs) > 0 {
		st.buf = fmt.Appendf(st.buf, "id: %d-%d\n", st.epoch, pos.next)
		for _, rec := range recs {
			st.buf = append(st.buf, "data: "...)
			st.buf = append(st.buf, rec.json...)
			st.buf = append(st.buf, '\n')
		}
		st.buf = append(st.buf, '\n')
	}
	return st.flush()
}

// flush sends what is in the buffer. It reports whether the viewer may get more.
func (st *stream) flush() bool {
	if len(st.buf) > 0 {
		_ = st.rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // not all writers have deadlines
		_, err := st.w.Write(st.buf)
		st.buf = st.buf[:0]
		if err != nil {
			return false
		}
	}
	return st.rc.Flush() == nil
}
