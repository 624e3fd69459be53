package export

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// DefaultMaxEntries is how many requests a HAR has at most by default.
const DefaultMaxEntries = 100_000

// maxConns is how many connections a writer knows at once. Requests of those that were forgotten
// lack addresses and TLS.
const maxConns = 10_000

// HAROptions are those of a HAR.
type HAROptions struct {
	// Title is that of the HAR's page, such as the name of the capture's file.
	Title string
	// MaxEntries bounds the requests; 0 is DefaultMaxEntries. Those above it are counted in the
	// log's comment.
	MaxEntries int
}

// A HAR writes requests in HTTP Archive 1.2. One goroutine uses it at a time.
//
// Besides what HAR 1.2 has, an entry has members that WebPageTest has brought up and others read:
// _http2_stream_id, _http2_stream_dependency, _http2_stream_weight, _http2_stream_exclusive,
// _priority, _was_pushed, _chunks (ts in milliseconds since the page's start, bytes), _protocol,
// _bytesIn, _bytesOut, _objectSize, and some about the connection, such as _connect_start,
// _connect_end, _ssl_start and _ssl_end of its first request. Names and units are those that
// waterfall-tools and sitespeed.io read; httpVersion is HTTP/2.0, as the latter wants it. Requests
// are in the order of their end.
//
// Of the first request on a connection, timings.connect is the time from SYN to the last Finished
// of TLS, or without TLS to the client's ACK, and timings.ssl the part of it from ClientHello on;
// where there is no key, connect goes to the first frame and ssl is -1.
//
// The phases of a HAR follow one another. So timings.blocked is the time in which no stream was
// free, before the request; what it waited for windows later is part of send and receive, and told
// by timings._blocked_stream_window and timings._blocked_connection_window, and what it waited for
// octets that were sent again by timings._blocked_network.
type HAR struct {
	o     HAROptions
	out   output
	conns map[uint64]*harConn
	came  int
}

// A harConn is what entries say of a connection.
type harConn struct {
	info  capture.Connection
	tls   capture.TLS
	ready time.Time // of the first frame
	used  bool      // an entry has the time that it took to connect
}

// NewHAR returns a writer of a HAR.
func NewHAR(w io.Writer, o HAROptions) *HAR {
	o.MaxEntries = cmp.Or(max(o.MaxEntries, 0), DefaultMaxEntries)
	return &HAR{o: o, out: newOutput(w), conns: map[uint64]*harConn{}}
}

// Handle takes an event; it is a capture.Handler. Close returns the first error of writing.
func (h *HAR) Handle(ev capture.Event) {
	switch ev := ev.(type) {
	case *capture.Connection:
		h.begin(ev.Time)
		h.connection(ev)
	case *capture.Frame:
		if c := h.conns[ev.Conn]; c != nil && c.ready.IsZero() {
			c.ready = first(ev.First, ev.Time)
		}
	case *capture.Request:
		h.begin(first(ev.Start, ev.Response, ev.End))
		if h.came++; h.out.items < h.o.MaxEntries {
			h.out.item(h.entry(ev))
		}
	case *capture.End:
		delete(h.conns, ev.Conn)
	}
}

// connection keeps what entries say of a connection.
func (h *HAR) connection(ev *capture.Connection) {
	if len(h.conns) >= maxConns {
		return
	}
	c := &harConn{info: *ev}
	if ev.TLS != nil {
		c.tls = capture.TLS{
			Version: ev.TLS.Version, CipherSuite: ev.TLS.CipherSuite, ALPN: ev.TLS.ALPN,
			ServerName: ev.TLS.ServerName, Resumed: ev.TLS.Resumed, EarlyData: ev.TLS.EarlyData,
			Start: ev.TLS.Start, Finished: ev.TLS.Finished,
		}
		c.info.TLS = &c.tls
	}
	h.conns[ev.ID] = c
}

// harPage is the page that all entries belong to.
type harPage struct {
	StartedDateTime string   `json:"startedDateTime"`
	ID              string   `json:"id"`
	Title           string   `json:"title"`
	PageTimings     struct{} `json:"pageTimings"`
}

const pageID = "page_1"

// begin writes what is in front of the entries.
func (h *HAR) begin(t time.Time) {
	if h.out.began {
		return
	}
	h.out.began = true
	h.out.base = t
	h.out.text(`{"log":{"version":"1.2","creator":{"name":"sluice","version":"1"},"pages":[`)
	if !t.IsZero() {
		h.out.value(harPage{StartedDateTime: harTime(t), ID: pageID, Title: cmp.Or(h.o.Title, "capture")})
	}
	h.out.text("],\"entries\":[\n")
}

// Close ends the HAR. It returns the first error that writing it has met. The io.Writer stays open.
func (h *HAR) Close() error {
	h.begin(time.Time{})
	comment := ""
	if h.came > h.out.items {
		comment = fmt.Sprintf(`,"comment":"%d of %d requests: the others are above the bound"`, h.out.items, h.came)
	}
	return h.out.close("\n]" + comment + "}}\n")
}

// harTime is a time as HAR wants it: ISO 8601, with milliseconds at least.
func harTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
