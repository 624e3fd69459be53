package server

import (
	"maps"
	"slices"

	"github.com/sluice-go/sluice/conn"
)

// Stats are counters of a server's HTTP/2 connections, of those that have ended as well as of those
// that are open.
type Stats struct {
	Connections uint64 // that were served
	Open        int    // connections that are open now
	Requests    uint64 // that were given to a handler
	Running     int    // handlers now
	Queued      int    // requests that wait for a handler now
	Panics      uint64 // of handlers, without http.ErrAbortHandler

	// Conn is the sum over the connections; Streams, Unread, SendWindow, RecvWindow and RecvGrown
	// are of those that are open. RTT is 0.
	Conn conn.Stats
}

func (s *Stats) add(o Stats) {
	s.Connections += o.Connections
	s.Open += o.Open
	s.Requests += o.Requests
	s.Running += o.Running
	s.Queued += o.Queued
	addConnStats(&s.Conn, o.Conn)
}

func addConnStats(s *conn.Stats, o conn.Stats) {
	s.FramesIn += o.FramesIn
	s.FramesOut += o.FramesOut
	s.DataIn += o.DataIn
	s.DataOut += o.DataOut
	s.StreamsOpened += o.StreamsOpened
	s.StreamsClosed += o.StreamsClosed
	s.StreamsResetLocal += o.StreamsResetLocal
	s.StreamsResetRemote += o.StreamsResetRemote
	s.PromisesIn += o.PromisesIn
	s.PromisesOut += o.PromisesOut
	s.ResetsIn += o.ResetsIn
	s.ResetsOut += o.ResetsOut
	s.PingsIn += o.PingsIn
	s.PingsOut += o.PingsOut
	s.SettingsIn += o.SettingsIn
	s.WindowUpdatesIn += o.WindowUpdatesIn
	s.WindowUpdatesOut += o.WindowUpdatesOut
	if o.LastError != 0 {
		s.LastError = o.LastError
	}
	s.Reads += o.Reads
	s.Writes += o.Writes
	s.BytesRead += o.BytesRead
	s.BytesWritten += o.BytesWritten
	s.Streams += o.Streams
	s.Unread += o.Unread
	s.SendWindow += o.SendWindow
	s.RecvWindow += o.RecvWindow
	s.RecvGrown += o.RecvGrown
}

// stats returns the counters of a connection that has ended.
func (sc *serverConn) stats() Stats {
	s := Stats{Connections: 1, Conn: sc.c.Stats()}
	s.Conn.Streams, s.Conn.Unread, s.Conn.SendWindow, s.Conn.RecvWindow, s.Conn.RecvGrown = 0, 0, 0, 0, 0
	sc.d.mu.Lock()
	defer sc.d.mu.Unlock()
	s.Requests = sc.d.mu.started
	return s
}

// stats returns the counters of all connections.
func (h2 *http2Server) stats() Stats {
	h2.mu.Lock()
	sum := h2.mu.closedStats
	open := slices.Collect(maps.Keys(h2.mu.conns))
	h2.mu.Unlock()
	for _, sc := range open {
		var s Stats
		if sc.d.end.Load() == connOpen {
			s = Stats{Connections: 1, Open: 1, Conn: sc.c.Stats()}
		} else {
			s = sc.stats()
		}
		sc.d.mu.Lock()
		s.Requests, s.Running, s.Queued = sc.d.mu.started, int(sc.d.mu.running), sc.d.mu.queue.len()
		sc.d.mu.Unlock()
		sum.add(s)
	}
	sum.Panics = h2.panics.Load()
	return sum
}
