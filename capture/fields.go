package capture

import (
	"errors"

	"github.com/sluice-go/sluice/capture/internal/hpackdec"
	"github.com/sluice-go/sluice/frame"
)

// Limits of what is kept for a direction.
const (
	maxBlock      = 1 << 20 // octets of a header block
	maxUnacked    = 64      // SETTINGS that wait for their acknowledgement
	maxMessages   = 4096    // streams that have a header section and are not over
	messageOctets = 16      // of memory for one of them
	keptBlock     = 1024    // octets of memory that are kept from one block to the next
	keptFields    = 256     // the same for fields
)

// A side is what a session knows of one direction, for decoding what it sends.
type side struct {
	a     *analyzer
	hpack *hpackdec.Decoder

	maxFrame uint32 // the longest payload that the other side may send: SETTINGS_MAX_FRAME_SIZE

	block  []byte // of the header block that has not ended
	stream uint32 // that the block is on; 0: none has begun
	broken bool   // octets of the block are missing
	pushed bool   // the block is that of PUSH_PROMISE
	ending bool   // END_STREAM came with the block

	decoded []hpackdec.Field // memory for the next block
	fields  []Field

	// unacked are the values of SETTINGS_HEADER_TABLE_SIZE in those SETTINGS of this side that the
	// other side has not acknowledged; -1 where one says nothing of it.
	unacked []int64

	messages map[uint32]struct{} // streams on which a header section, not that of a 1xx, was seen
}

func newSide(a *analyzer, startMissing bool) *side {
	return &side{
		a: a,
		hpack: hpackdec.New(hpackdec.Options{
			StartMissing: startMissing, MaxOctets: a.opts.MaxFieldOctets, Budget: a.tables,
		}),
		maxFrame: frame.MinMaxFrameSize,
	}
}

// close gives memory back.
func (b *side) close() {
	b.drop()
	b.a.held.give(len(b.messages) * messageOctets)
	clear(b.messages)
	b.hpack.Close()
}

// drop forgets the block that has not ended.
func (b *side) drop() {
	b.a.held.give(len(b.block))
	if b.stream, b.block = 0, b.block[:0]; cap(b.block) > keptBlock {
		b.block = nil
	}
	b.broken, b.pushed, b.ending = false, false, false
}

// taint says that octets were lost in which there may have been header blocks.
func (b *side) taint() {
	if b.stream != 0 {
		b.broken = true
	}
	b.hpack.Taint()
}

// headers takes HEADERS, PUSH_PROMISE and CONTINUATION, and sets the fields of a frame that ends a
// block. payload is what there is of it.
func (b *side) headers(f *Frame, payload []byte) {
	part := b.fragment(f, payload)
	if f.Header.Type == frame.TypeContinuation {
		if b.stream != f.Header.StreamID { // it belongs to no block that was seen
			b.hpack.Taint()
			return
		}
	} else {
		if b.stream != 0 { // a block that does not end
			b.drop()
			b.hpack.Taint()
		}
		b.stream, b.pushed = f.Header.StreamID, f.Header.Type == frame.TypePushPromise
		b.ending = !b.pushed && f.Header.Flags.Has(frame.FlagEndStream)
	}
	last := f.Header.Flags.Has(frame.FlagEndHeaders)
	switch {
	case b.broken:
	case len(b.block) == 0 && last: // the usual case: no copy
		b.broken = f.Parsed == nil
		b.end(f, part)
		return
	case len(b.block)+len(part) <= maxBlock && b.a.held.take(len(part)):
		b.block = append(b.block, part...)
		b.broken = f.Parsed == nil
	default:
		b.broken = true
	}
	if last {
		b.end(f, b.block)
	}
}

// fragment returns the part of a header block that is in a frame, as far as it is there.
func (b *side) fragment(f *Frame, payload []byte) []byte {
	switch p := f.Parsed.(type) {
	case frame.Headers:
		f.Padding = padding(p.Padded, p.PadLength)
		return p.Fragment
	case frame.PushPromise:
		f.Padding = padding(p.Padded, p.PadLength)
		return p.Fragment
	case frame.Continuation:
		return p.Fragment
	}
	if f.Err != nil {
		return nil
	}
	h, skip, end := f.Header, 0, int(f.Header.Length)
	if h.Type != frame.TypeContinuation && h.Flags.Has(frame.FlagPadded) && len(payload) > 0 {
		skip, end = 1, end-int(payload[0])
	}
	if h.Type == frame.TypePushPromise {
		skip += 4
	} else if h.Type == frame.TypeHeaders && h.Flags.Has(frame.FlagPriority) {
		skip += 5
	}
	if end = min(end, len(payload)); skip >= end {
		return nil
	}
	return payload[skip:end]
}

// padding is how many octets of a payload are padding and its length.
func padding(padded bool, n uint8) uint32 {
	if !padded {
		return 0
	}
	return 1 + uint32(n)
}

// end decodes a block, whose last frame is f.
func (b *side) end(f *Frame, block []byte) {
	var err error
	b.decoded, err = b.hpack.Decode(block, b.decoded[:0])
	f.Fields, f.Tainted = b.convert(), b.broken
	for i := range f.Fields {
		f.Tainted = f.Tainted || f.Fields[i].State == Tainted
	}
	switch {
	case b.broken: // it has ended too early
		b.hpack.Taint()
	case err != nil:
		f.Err = blockError(err)
	}
	if !b.pushed {
		f.Trailer = b.message(f.Header.StreamID, f.Fields)
	}
	if b.ending {
		b.over(b.stream)
	}
	b.drop()
}

// blockError is the error of a frame that ends a block which cannot be decoded.
func blockError(err error) error {
	e := frame.NewConnError(frame.CompressionError, "RFC 9113 §4.3", "header block cannot be decoded")
	var he *hpackdec.Error
	if errors.As(err, &he) && he.Harmless {
		return err
	}
	e.Cause = err
	return e
}

// convert makes Fields of what was decoded.
func (b *side) convert() []Field {
	b.fields = b.fields[:0]
	for i := range b.decoded {
		d := &b.decoded[i]
		b.fields = append(b.fields, Field{
			Name: d.Name, Value: d.Value, State: State(d.State), Index: d.Index, NeverIndex: d.NeverIndex,
		})
	}
	clear(b.decoded) // no string is kept from the collector
	fields := b.fields
	if cap(fields) > keptFields {
		b.fields, b.decoded = nil, nil
	}
	return fields
}

// message notes a header section on a stream, and reports whether it is a trailer section.
func (b *side) message(stream uint32, fields []Field) bool {
	if _, ok := b.messages[stream]; ok {
		return true
	}
	for i := range fields {
		if f := &fields[i]; f.Name == ":status" && len(f.Value) == 3 && f.Value[0] == '1' {
			return false
		}
	}
	b.begin(stream)
	return false
}

// begin notes that the head of a message is over.
func (b *side) begin(stream uint32) {
	if b.messages == nil {
		b.messages = make(map[uint32]struct{})
	}
	if _, ok := b.messages[stream]; !ok && len(b.messages) < maxMessages && b.a.held.take(messageOctets) {
		b.messages[stream] = struct{}{}
	}
}

// over notes that a message, or its stream, is over.
func (b *side) over(stream uint32) {
	if _, ok := b.messages[stream]; ok {
		delete(b.messages, stream)
		b.a.held.give(messageOctets)
	}
}

// settings notes SETTINGS that this side has sent.
func (b *side) settings(f frame.Settings) {
	size := int64(-1)
	for v := range f.All() {
		switch v.ID {
		case frame.SettingHeaderTableSize:
			size = int64(v.Value)
		case frame.SettingMaxFrameSize:
			b.maxFrame = max(b.maxFrame, min(v.Value, frame.MaxMaxFrameSize))
		default:
		}
	}
	if len(b.unacked) < maxUnacked {
		b.unacked = append(b.unacked, size)
	}
}

// acknowledged takes the oldest SETTINGS of this side to be in force at the other side, whose
// decoder is given.
func (b *side) acknowledged(other *hpackdec.Decoder) {
	if len(b.unacked) == 0 {
		return
	}
	if size := b.unacked[0]; size >= 0 {
		other.SetLimit(uint32(size))
	}
	b.unacked = b.unacked[:copy(b.unacked, b.unacked[1:])]
}
