package capture

import (
	"errors"
	"time"

	"github.com/sluice-go/sluice/frame"
)

// frame takes a frame of a connection of which no octets are seen. Of its payload the last octets
// may be missing.
func (s *session) frame(d Dir, first, t time.Time, h frame.Header, payload []byte, missing uint32) {
	s.octets[d] += int64(frame.HeaderLen) + int64(h.Length) - int64(missing)
	s.whole(d, first, t, h, payload, missing)
}

// whole takes a whole frame, of which missing octets at the end of payload are not there.
func (s *session) whole(d Dir, first, t time.Time, h frame.Header, payload []byte, missing uint32) {
	if h.Type == frame.TypeData {
		s.wholeData(d, first, t, h, payload, missing)
		return
	}
	f := s.begin(d, first, t, h, missing)
	if missing == 0 {
		f.Parsed, f.Err = frame.Parse(h, payload)
	}
	s.decode(f, payload)
	s.deliver(f)
	s.finish(f)
}

// droppedFrame takes a frame whose payload is not kept.
func (s *session) droppedFrame(d Dir, first, t time.Time, h frame.Header, missing uint32) {
	f := s.begin(d, first, t, h, missing)
	f.Err = errDropped
	s.decode(f, nil)
	s.deliver(f)
	s.finish(f)
}

// errDropped is the error of a frame whose payload is not kept.
var errDropped = errors.New("payload is too long to be shown: at most 1 MiB of a frame is kept")

// begin returns the Frame that is decoded next.
func (s *session) begin(d Dir, first, t time.Time, h frame.Header, missing uint32) *Frame {
	s.lastID = max(s.lastID, h.StreamID)
	s.cur = Frame{First: first, Time: t, Dir: d, Header: h, Missing: missing}
	return &s.cur
}

// decode does what a frame needs beyond frame.Parse.
func (s *session) decode(f *Frame, payload []byte) {
	b := s.sides[f.Dir]
	switch f.Header.Type {
	case frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation:
		b.headers(f, payload)
	case frame.TypeSettings:
		p, ok := f.Parsed.(frame.Settings)
		switch {
		case !ok:
		case p.Ack:
			s.sides[f.Dir.Other()].acknowledged(b.hpack)
		default:
			b.settings(p)
		}
	default:
	}
}

// finish forgets what is over with a frame.
func (s *session) finish(f *Frame) {
	id := f.Header.StreamID
	switch f.Header.Type {
	case frame.TypeData:
		if f.Header.Flags.Has(frame.FlagEndStream) {
			s.sides[f.Dir].over(id)
		} else if s.info.StartMissing {
			s.sides[f.Dir].begin(id) // so a header section behind it is trailers
		}
	case frame.TypeRSTStream:
		s.sides[Client].over(id)
		s.sides[Server].over(id)
	default:
	}
}

// wholeData takes DATA in one piece.
func (s *session) wholeData(d Dir, first, t time.Time, h frame.Header, payload []byte, missing uint32) {
	pad := -1
	if h.Flags.Has(frame.FlagPadded) && len(payload) > 0 {
		pad = int(payload[0])
		payload = payload[1:]
		payload = payload[:max(0, min(len(payload), int(h.Length)-1-pad))]
	}
	s.content(d, t, h.StreamID, payload, 0)
	s.dataFrame(d, first, t, h, pad, missing)
}

// content has a piece of the content of DATA, without padding.
func (s *session) content(d Dir, t time.Time, stream uint32, p []byte, lost int64) {
	for _, o := range s.observers {
		if c, ok := o.(contentObserver); ok {
			c.content(d, t, stream, p, lost)
		}
	}
	s.flush()
}

// dataFrame takes DATA whose content went to content; pad is its Pad Length, -1 where it has none
// or it is not known.
func (s *session) dataFrame(d Dir, first, t time.Time, h frame.Header, pad int, missing uint32) {
	f := s.begin(d, first, t, h, missing)
	f.DataLen = h.Length
	var err error
	switch padded := h.Flags.Has(frame.FlagPadded); {
	case h.StreamID == 0, padded && h.Length == 0:
		_, err = frame.ParseData(h, nil)
	case padded && pad >= int(h.Length):
		_, err = frame.ParseData(h, []byte{byte(pad)})
	case padded && pad >= 0:
		f.Padding = 1 + uint32(pad)
		f.DataLen -= f.Padding
	}
	if err == nil && missing == 0 {
		f.Parsed = s.data[d].frame(frame.Data{
			StreamID: h.StreamID, EndStream: h.Flags.Has(frame.FlagEndStream),
			Padded: pad >= 0, PadLength: uint8(max(pad, 0)),
		})
	}
	f.Err = err
	s.deliver(f)
	s.finish(f)
}
