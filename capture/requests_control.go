package capture

import (
	"maps"
	"slices"

	"github.com/sluice-go/sluice/frame"
)

// priority takes PRIORITY and PRIORITY_UPDATE, which may come before the stream begins.
func (o *requests) priority(f *Frame) {
	switch p := f.Parsed.(type) {
	case frame.Priority:
		o.count(o.open[p.StreamID], f)
		if r := o.prioritized(p.StreamID); r != nil {
			r.weight, r.dependsOn, r.exclusive = int(p.Weight)+1, p.DependsOn, p.Exclusive
		}
	case frame.PriorityUpdate:
		if r := o.prioritized(p.PrioritizedID); r != nil && len(p.Value) <= maxDroppedText {
			r.value = string(p.Value)
		}
	}
}

// A priority is what PRIORITY and PRIORITY_UPDATE have said of a stream.
type priority struct {
	value     string
	weight    int // 1 to 256; 0: PRIORITY has said nothing
	dependsOn uint32
	exclusive bool
}

// earlyOctets is how much memory a priority takes, at most, until its stream begins.
const earlyOctets = 128 + maxDroppedText

// prioritized returns the priority of a request, or what is kept until it begins. It is nil where
// it is over.
func (o *requests) prioritized(stream uint32) *priority {
	if x := o.open[stream]; x != nil {
		return &x.priority
	}
	if stream == 0 || stream <= o.highest[stream%2] {
		return nil
	}
	p := o.early[stream]
	if p == nil && len(o.early) < maxEarly && o.s.a.held.take(earlyOctets) {
		p = new(priority)
		o.early[stream] = p
	}
	return p
}

// takeEarly moves what was said of a stream to its request.
func (o *requests) takeEarly(x *exchange) {
	if p := o.early[x.Stream]; p != nil {
		x.priority = *p
		delete(o.early, x.Stream)
		o.s.a.held.give(earlyOctets)
	}
}

// reset takes RST_STREAM.
func (o *requests) reset(f *Frame) {
	x := o.open[f.Header.StreamID]
	if x == nil {
		return
	}
	o.count(x, f)
	x.ResetBy = f.Dir.String()
	if p, ok := f.Parsed.(frame.RSTStream); ok {
		x.ResetCode = p.Code
	}
	o.finish(x)
}

// goAway ends the requests that the other side will not process.
func (o *requests) goAway(f *Frame) {
	p, ok := f.Parsed.(frame.GoAway)
	if !ok {
		return
	}
	begun := uint32(1) // by clients
	if f.Dir == Client {
		begun = 0
	}
	if p.LastStreamID >= o.highest[begun] {
		return
	}
	for x := o.list.first; x != nil; {
		next := x.next
		if x.Stream%2 == begun && x.Stream > p.LastStreamID && !x.final {
			x.GoAway, x.End = true, f.Time
			o.finish(x)
		}
		x = next
	}
}

// upgrade begins stream 1 with the request that was sent in HTTP/1.1.
func (o *requests) upgrade(r *Request) {
	x := o.begin(1, r.Start)
	own := x.Request
	x.Request = *r
	x.Conn, x.Stream, x.Version, x.Upgraded = own.Conn, own.Stream, own.Version, true
	x.asked = true
	x.Fields[Client] = x.keep(r.Fields[Client])
	x.ended[Client] = true
}

// inOrder returns exchanges in the order of their streams.
func inOrder(open map[uint32]*exchange) []*exchange {
	list := make([]*exchange, 0, len(open))
	for _, stream := range slices.Sorted(maps.Keys(open)) {
		list = append(list, open[stream])
	}
	return list
}

// closedStreams are the streams that have ended last.
type closedStreams struct {
	ring []uint32
	next int
	set  map[uint32]struct{}
}

func (c *closedStreams) has(stream uint32) bool {
	_, ok := c.set[stream]
	return ok
}

func (c *closedStreams) add(stream uint32) {
	if c.set == nil {
		c.set = make(map[uint32]struct{})
	}
	if len(c.ring) < maxClosedStreams {
		c.ring = append(c.ring, stream)
	} else {
		delete(c.set, c.ring[c.next])
		c.ring[c.next] = stream
		c.next = (c.next + 1) % len(c.ring)
	}
	c.set[stream] = struct{}{}
}
