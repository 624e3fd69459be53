package core

import "github.com/sluice-go/sluice/frame"

// Segment is the payload of a DATA frame that is not copied to the output. It belongs there behind
// the first Offset octets.
type Segment struct {
	Offset int
	Data   []byte
	Stream *Stream // whose Queue was given Data; nil where Data is a copy that Keep has made
}

// minSegment is the payload from which a Segment costs less than a copy.
const minSegment = 4 << 10

// vectoredOutput is what FillVectored has collected while it runs.
type vectoredOutput struct {
	on       bool // FillVectored is running
	segments []Segment
	octets   int // of all segments
}

// FillVectored is Fill for a caller that takes the output at once and can send data that lies in
// several places (writev): it does not copy large payloads but appends them to segments. Their
// memory must not change until they are sent, or copied, although EventDrained may come before. The
// limit counts their octets, OutputLen does not.
func (d Driver) FillVectored(limit int, segments []Segment) []Segment {
	d.vectored = vectoredOutput{on: true, segments: segments}
	d.Fill(limit)
	segments = d.vectored.segments
	d.vectored = vectoredOutput{}
	return segments
}

// appendSegment appends the header of f, a frame of s without padding, and its payload as a
// Segment.
func (c *Conn) appendSegment(s *Stream, f frame.Data) {
	h := f.FrameHeader()
	c.out = h.Append(c.out)
	seg := Segment{Offset: len(c.out), Data: f.Data}
	if !s.out.copied {
		seg.Stream = s
	}
	c.vectored.segments = append(c.vectored.segments, seg)
	c.vectored.octets += len(f.Data)
}
