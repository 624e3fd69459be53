package page

import (
	"net/netip"
	"time"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

// A simulation makes the events of a connection as a script of requests would: windows are counted,
// and DATA takes its time. The tests of the page look at what it makes.
type simulation struct {
	handle capture.Handler
	conn   uint64
	now    time.Duration
	frames uint64
	window [2]int64             // of the connection, by sender
	stream map[uint32]*[2]int64 // of streams
	reqs   map[uint32]*capture.Request
	octets [2]int64
	init   [2]int64
	count  uint64
}

// connect begins a connection of HTTP/2.
func connect(h capture.Handler, id uint64, at time.Duration, c capture.Connection) *simulation {
	s := &simulation{
		handle: h, conn: id, now: at, window: [2]int64{65535, 65535}, init: [2]int64{65535, 65535},
		stream: map[uint32]*[2]int64{}, reqs: map[uint32]*capture.Request{},
	}
	c.ID, c.Time = id, s.time()
	if !c.Client.IsValid() {
		c.Client = netip.MustParseAddrPort("192.0.2.17:51712")
		c.Server = netip.MustParseAddrPort("198.51.100.4:443")
	}
	h(&c)
	return s
}

func (s *simulation) time() time.Time { return t0.Add(s.now) }

// at goes to a time, in milliseconds since the capture's start.
func (s *simulation) at(ms float64) *simulation {
	s.now = time.Duration(ms * float64(time.Millisecond))
	return s
}

// windows are those of a stream for a side.
func (s *simulation) windows(stream uint32) *[2]int64 {
	w := s.stream[stream]
	if w == nil {
		w = &[2]int64{s.init[0], s.init[1]}
		s.stream[stream] = w
	}
	return w
}

// send delivers a frame.
func (s *simulation) send(d capture.Dir, p frame.Frame, length uint32, fields ...capture.Field) *capture.Frame {
	s.frames++
	h := p.FrameHeader()
	if length > 0 {
		h.Length = length
	}
	f := &capture.Frame{
		Conn: s.conn, Number: s.frames, First: s.time(), Time: s.time(), Dir: d, Header: h, Parsed: p, Fields: fields,
	}
	sender := d
	if h.Type == frame.TypeWindowUpdate {
		sender = d.Other()
	}
	if h.Type == frame.TypeData || h.Type == frame.TypeHeaders || h.Type == frame.TypeWindowUpdate {
		f.Window.Conn, f.Window.ConnKnown = s.window[sender], true
		if h.StreamID != 0 {
			f.Window.Stream, f.Window.StreamKnown = s.windows(h.StreamID)[sender], true
		}
	}
	if h.Type == frame.TypeData {
		f.DataLen = h.Length
		f.First = f.Time.Add(-time.Duration(h.Length) * 60 * time.Nanosecond)
	}
	s.octets[d] += int64(h.Length)
	s.handle(f)
	return f
}

// field is a field that is known.
func field(name, value string) capture.Field { return capture.Field{Name: name, Value: value} }

// get sends the HEADERS of a request.
func (s *simulation) get(stream uint32, method, path string, more ...capture.Field) {
	fields := append([]capture.Field{
		field(":method", method), field(":scheme", "https"), field(":authority", "www.example.com"), field(":path", path),
		field("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"), field("accept-encoding", "gzip, br, zstd"),
		{Name: "cookie", Value: "(hidden)", Hidden: true, NeverIndex: true},
	}, more...)
	s.reqs[stream] = &capture.Request{
		Conn: s.conn, Stream: stream, Method: method, Scheme: "https", Authority: "www.example.com", Path: path,
		Start: s.time(),
	}
	if method != "POST" {
		s.reqs[stream].RequestEnd = s.time()
	}
	s.send(capture.Client, frame.Headers{StreamID: stream, EndHeaders: true, EndStream: method != "POST"}, 64, fields...)
}

// answer sends the HEADERS of a response.
func (s *simulation) answer(stream uint32, status, kind string, more ...capture.Field) {
	fields := append([]capture.Field{
		field(":status", status), field("content-type", kind), field("server", "sluice"),
	}, more...)
	r := s.reqs[stream]
	r.Response, r.ContentType = s.time(), kind
	r.Wait.Server = r.Response.Sub(r.RequestEnd)
	for _, c := range status {
		r.Status = r.Status*10 + int(c-'0')
	}
	s.send(capture.Server, frame.Headers{StreamID: stream, EndHeaders: true}, 41, fields...)
}

// data sends one DATA.
func (s *simulation) data(d capture.Dir, stream uint32, n uint32, end bool) *capture.Frame {
	s.window[d] -= int64(n)
	s.windows(stream)[d] -= int64(n)
	f := s.send(d, frame.Data{StreamID: stream, EndStream: end}, n)
	r := s.reqs[stream]
	r.Body[d] += int64(n)
	r.Wire[d] += int64(n) + 9
	switch {
	case d == capture.Server && r.FirstData.IsZero():
		r.FirstData = f.First
	case d == capture.Client && end:
		r.RequestEnd = s.time()
	}
	if d == capture.Server {
		r.DataChunks = append(r.DataChunks, capture.Chunk{Time: s.time(), Octets: int64(n)})
	}
	return f
}

// body sends DATA from one time to another, in milliseconds, in frames of up to 16 kB.
func (s *simulation) body(d capture.Dir, stream uint32, from, to float64, n uint32, end bool) {
	for sent := uint32(0); sent < n; {
		part := min(n-sent, 16384)
		sent += part
		s.at(from+(to-from)*float64(sent)/float64(n)).data(d, stream, part, end && sent == n)
	}
}

// update gives credit.
func (s *simulation) update(d capture.Dir, stream, n uint32) *capture.Frame {
	if stream == 0 {
		s.window[d.Other()] += int64(n)
	} else {
		s.windows(stream)[d.Other()] += int64(n)
	}
	return s.send(d, frame.WindowUpdate{StreamID: stream, Increment: n}, 0)
}

// stall is a time without window, which ends with a frame.
func (s *simulation) stall(d capture.Dir, stream uint32, w capture.Window, from float64, f *capture.Frame) {
	start := t0.Add(time.Duration(from * float64(time.Millisecond)))
	by := "WINDOW_UPDATE on stream 0"
	if w == capture.StreamWindow {
		by = "WINDOW_UPDATE"
		s.reqs[stream].Wait.Stream += f.Time.Sub(start)
	} else {
		s.reqs[stream].Wait.Connection += f.Time.Sub(start)
	}
	s.handle(&capture.Stall{
		Conn: s.conn, Stream: stream, Dir: d, Window: w, Start: start, End: f.Time, EndedBy: by, Frame: f.Number,
		Periods: 1, Blocked: f.Time.Sub(start),
	})
}

// done delivers the request of a stream.
func (s *simulation) done(stream uint32) {
	r := s.reqs[stream]
	r.End = s.time()
	r.Complete = r.ResetBy == ""
	s.count++
	s.handle(r)
}

// settings exchanges SETTINGS; both sides use the client's value for windows.
func (s *simulation) settings(window uint32) {
	s.send(capture.Client, frame.NewSettings(
		frame.Setting{ID: frame.SettingHeaderTableSize, Value: 65536},
		frame.Setting{ID: frame.SettingEnablePush, Value: 1},
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: window}), 0)
	s.now += 200 * time.Microsecond
	s.send(capture.Server, frame.NewSettings(
		frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 100},
		frame.Setting{ID: frame.SettingInitialWindowSize, Value: 65535}), 0)
	s.send(capture.Server, frame.Settings{Ack: true}, 0)
	s.send(capture.Client, frame.Settings{Ack: true}, 0)
	s.init[capture.Server] = int64(window)
}

// finding is about a frame.
func (s *simulation) finding(f *capture.Frame, v capture.Severity, rule, section, text string) {
	s.handle(&capture.Finding{
		Conn: s.conn, Stream: f.Header.StreamID, Frame: f.Number, Time: f.Time, Dir: f.Dir, Rule: rule, Section: section,
		Severity: v, Text: text,
	})
}

// end ends the connection.
func (s *simulation) end(how string) {
	s.handle(&capture.End{
		Conn: s.conn, Time: s.time(), How: how, Frames: s.frames, Requests: s.count, Octets: s.octets,
	})
}
