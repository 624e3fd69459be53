package capture

import (
	"strconv"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// Limits of what is remembered of streams.
const (
	maxClosedStreams = 4096 // those that have ended last: frames may still come
	maxEarly         = 1000 // streams with a priority before they begin
)

// requests is the observer that makes a Request of what is sent on a stream.
type requests struct {
	s       *session
	list    exchanges
	open    map[uint32]*exchange
	blocks  [2]headerBlock // by Dir
	closed  closedStreams
	highest [2]uint32 // by the side that begins streams
	missing [2]int64  // by Dir, octets that are not known to be of a frame
	early   map[uint32]*priority
}

// A headerBlock is what the first frame of a header block says.
type headerBlock struct {
	stream    uint32 // 0 is none
	promised  uint32 // of PUSH_PROMISE
	endStream bool
	first     time.Time
	wire      int64
	priority  *frame.PriorityParam
}

func newRequests(s *session) *requests {
	o := &requests{s: s, open: make(map[uint32]*exchange), early: make(map[uint32]*priority)}
	o.list = exchanges{s: s, finish: o.finish}
	return o
}

func (o *requests) frame(f *Frame) {
	o.whole(f)
	switch f.Header.Type {
	case frame.TypeHeaders, frame.TypePushPromise:
		o.block(f)
	case frame.TypeContinuation:
		o.continuation(f)
	case frame.TypeData:
		o.dataFrame(f)
	case frame.TypePriority, frame.TypePriorityUpdate:
		o.priority(f)
	case frame.TypeRSTStream:
		o.reset(f)
	case frame.TypeGoAway:
		o.goAway(f)
	default:
		o.count(o.open[f.Header.StreamID], f)
	}
}

// count adds a frame to what was sent on a stream.
func (o *requests) count(x *exchange, f *Frame) {
	if x == nil {
		return
	}
	x.Wire[f.Dir] += frame.HeaderLen + int64(f.Header.Length)
	x.End = f.Time
}

// block takes HEADERS or PUSH_PROMISE.
func (o *requests) block(f *Frame) {
	b := headerBlock{stream: f.Header.StreamID, first: f.First}
	switch p := f.Parsed.(type) {
	case frame.Headers:
		if p.HasPriority {
			b.priority = &p.Priority
		}
	case frame.PushPromise:
		b.promised = p.PromisedID
	}
	if f.Header.Type == frame.TypeHeaders {
		b.endStream = f.Header.Flags.Has(frame.FlagEndStream)
	} else if b.promised == 0 {
		return // cut, or invalid
	}
	o.blockFrame(&b, f)
}

// continuation takes CONTINUATION.
func (o *requests) continuation(f *Frame) {
	b := o.blocks[f.Dir]
	if b.stream != f.Header.StreamID {
		b = headerBlock{stream: f.Header.StreamID, first: f.First} // its HEADERS are missing
	}
	o.blockFrame(&b, f)
}

// blockFrame takes a frame of a header block, and the block with its last frame.
func (o *requests) blockFrame(b *headerBlock, f *Frame) {
	b.wire += frame.HeaderLen + int64(f.Header.Length)
	if !f.Header.Flags.Has(frame.FlagEndHeaders) {
		o.blocks[f.Dir] = *b
		return
	}
	o.blocks[f.Dir] = headerBlock{}
	switch {
	case b.stream == 0:
	case b.promised != 0:
		o.promise(b, f)
	default:
		o.section(b, f)
	}
}

// promise begins a request that the server has pushed.
func (o *requests) promise(b *headerBlock, f *Frame) {
	if o.open[b.promised] != nil || b.promised%2 == 1 {
		return
	}
	x := o.begin(b.promised, b.first)
	x.Pushed, x.Parent = true, b.stream
	x.Wire[f.Dir] += b.wire
	x.End = f.Time
	x.head(f.Fields)
	x.endSide(Client, f.Time)
}

// section takes the header section, or the trailer section, of a stream.
func (o *requests) section(b *headerBlock, f *Frame) {
	x := o.exchange(b.stream, b.first)
	if x == nil {
		return
	}
	x.Wire[f.Dir] += b.wire
	x.End = f.Time
	if p := b.priority; p != nil {
		x.priority.weight, x.priority.dependsOn, x.priority.exclusive = int(p.Weight)+1, p.DependsOn, p.Exclusive
	}
	// Where frames are missing, the first header block that is seen may be that of trailers.
	lossy := o.s.info.StartMissing || o.list.losses != [2]uint64{}
	first := x.Body[f.Dir] == 0 && (!lossy || beginsMessage(f.Fields))
	switch {
	case f.Dir == Client && !x.asked && first:
		x.StartMissing = false
		x.head(f.Fields)
	case f.Dir == Server && !x.final && first:
		status, _ := strconv.Atoi(fieldValue(f.Fields, ":status"))
		if x.response(status, f.Fields, f.Time) {
			x.began = b.first
		}
	default:
		x.trailers(f.Dir, f.Fields)
	}
	if b.endStream {
		o.endSide(x, f)
	}
}

// endSide notes END_STREAM.
func (o *requests) endSide(x *exchange, f *Frame) {
	if x.pieces[f.Dir] {
		o.s.emit(&Body{Conn: o.s.info.ID, Stream: x.Stream, Time: f.Time, Dir: f.Dir, End: true})
	}
	if x.endSide(f.Dir, f.Time) {
		o.finish(x)
	}
}

// dataFrame takes DATA, behind its octets.
func (o *requests) dataFrame(f *Frame) {
	x := o.exchange(f.Header.StreamID, f.First)
	if x == nil {
		return
	}
	o.count(x, f)
	if f.Header.Flags.Has(frame.FlagEndStream) {
		o.endSide(x, f)
	}
}

// content takes octets of DATA, before their frame is complete.
func (o *requests) content(d Dir, t time.Time, stream uint32, p []byte, lost int64) {
	o.attribute(d, lost)
	x := o.exchange(stream, t)
	if x == nil {
		return
	}
	x.content(d, t, p, lost)
	if o.s.a.opts.Bodies && (len(p) > 0 || lost > 0) {
		x.pieces[d] = true
		o.s.send(&Body{Conn: o.s.info.ID, Stream: stream, Time: t, Dir: d, Octets: p, Lost: lost})
	}
}

// exchange returns the exchange of a stream, and begins one where it was not seen before. It is nil
// where the stream is over.
func (o *requests) exchange(stream uint32, first time.Time) *exchange {
	if x := o.open[stream]; x != nil {
		return x
	}
	known := stream <= o.highest[stream%2] && o.list.losses == [2]uint64{} && !o.s.info.StartMissing
	if stream == 0 || known || o.closed.has(stream) {
		return nil
	}
	x := o.begin(stream, first)
	x.StartMissing = true // until the header section of the request comes
	x.Pushed = stream%2 == 0
	return x
}

// begin begins the exchange of a stream.
func (o *requests) begin(stream uint32, first time.Time) *exchange {
	x := new(exchange)
	x.Conn, x.Stream, x.Version, x.Start = o.s.info.ID, stream, "HTTP/2", first
	o.takeEarly(x)
	o.highest[stream%2] = max(o.highest[stream%2], stream)
	o.list.add(x)
	o.open[stream] = x
	return x
}

// finish emits what is known of an exchange.
func (o *requests) finish(x *exchange) {
	delete(o.open, x.Stream)
	o.closed.add(x.Stream)
	o.list.remove(x)
	x.finished()
	o.s.emit(&x.Request)
}

// lost counts what is missing of a direction, until a frame says that it is a part of it.
func (o *requests) lost(d Dir, _ time.Time, n int64) {
	if n < 0 {
		o.list.losses[d]++
		return
	}
	o.missing[d] += n
}

// attribute takes n of the octets that are missing for those of the frame that comes: the others
// are those of whole frames.
func (o *requests) attribute(d Dir, n int64) {
	if o.missing[d] > n {
		o.list.losses[d]++
	}
	o.missing[d] = 0
}

// whole takes note that f is over.
func (o *requests) whole(f *Frame) {
	o.attribute(f.Dir, int64(f.Missing))
	if x := o.open[f.Header.StreamID]; x != nil && f.Missing > 0 {
		x.Lossy = true
	}
}

// end emits what is open, in the order of streams.
func (o *requests) end(time.Time, wire.How) {
	o.attribute(Client, 0)
	o.attribute(Server, 0)
	for _, x := range inOrder(o.open) {
		o.finish(x)
	}
	o.s.a.held.give(len(o.early) * earlyOctets)
	clear(o.early)
}
