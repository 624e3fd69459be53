package h2test

import (
	"bytes"
	"fmt"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// A Codec encodes what a test sends on one connection and decodes what comes. It is made by
// NewCodec. One goroutine may encode while another decodes.
type Codec struct {
	// MaxFrameSize is the longest payload that Next takes of a frame, in octets. NewCodec sets it
	// to the longest that there is.
	MaxFrameSize uint32

	enc   *hpack.Encoder
	block bytes.Buffer
	dec   *hpack.Decoder
}

// NewCodec returns a Codec for a new connection.
func NewCodec() *Codec {
	c := &Codec{MaxFrameSize: frame.MaxMaxFrameSize, dec: hpack.NewDecoder(4096, nil)}
	c.enc = hpack.NewEncoder(&c.block)
	return c
}

// Encoder is the HPACK encoder of what is sent, for tests that change its table.
func (c *Codec) Encoder() *hpack.Encoder { return c.enc }

// Decoder is the HPACK decoder of what comes, for tests that change its table.
func (c *Codec) Decoder() *hpack.Decoder { return c.dec }

// Append appends the octets of items, each a Block, a frame.Frame, Raw, string or []byte. It panics
// when an item is of another type.
func (c *Codec) Append(b []byte, items ...any) []byte {
	for _, it := range items {
		switch it := it.(type) {
		case Block:
			b = c.appendBlock(b, it)
		case frame.Frame:
			b = it.Append(b)
		case Raw:
			b = append(b, it...)
		case string:
			b = append(b, it...)
		case []byte:
			b = append(b, it...)
		default:
			panic(fmt.Sprintf("h2test: a %T cannot be sent", it))
		}
	}
	return b
}

// Block encodes fields as one field block.
func (c *Codec) Block(fields ...hpack.HeaderField) []byte {
	c.block.Reset()
	for _, f := range fields {
		_ = c.enc.WriteField(f) // a bytes.Buffer does not fail
	}
	return bytes.Clone(c.block.Bytes())
}

// appendBlock sends a block in frames of equal length, which may be longer than the peer takes.
func (c *Codec) appendBlock(b []byte, m Block) []byte {
	left := c.Block(m.Fields...)
	n := max(m.Frames, 1)
	for i := range n {
		size := (len(left) + n - i - 1) / (n - i)
		part, last := left[:size], i == n-1 && !m.Unfinished
		left = left[size:]
		if i == 0 {
			b = m.appendFirst(b, part, last)
		} else {
			b = frame.Continuation{StreamID: m.StreamID, EndHeaders: last, Fragment: part}.Append(b)
		}
	}
	return b
}

func (b Block) appendFirst(dst, fragment []byte, last bool) []byte {
	if b.PromisedID != 0 {
		return frame.PushPromise{
			StreamID: b.StreamID, PromisedID: b.PromisedID, EndHeaders: last,
			Padded: b.Padded, PadLength: b.PadLength, Fragment: fragment,
		}.Append(dst)
	}
	f := frame.Headers{
		StreamID: b.StreamID, EndStream: b.EndStream, EndHeaders: last,
		Padded: b.Padded, PadLength: b.PadLength, Fragment: fragment,
	}
	if b.Priority != nil {
		f.HasPriority, f.Priority = true, *b.Priority
	}
	return f.Append(dst)
}

// Next decodes the first item of b and says how many octets it takes: a frame, or a Block with its
// CONTINUATION frames. The count is 0 where b has no whole item. What is returned does not lie in
// b.
func (c *Codec) Next(b []byte) (any, int, error) {
	h, payload, n, err := frame.Split(b, c.MaxFrameSize)
	if err != nil || n == 0 {
		return nil, 0, err
	}
	f, err := frame.Parse(h, bytes.Clone(payload))
	if err != nil {
		return nil, 0, err
	}
	var m Block
	var block []byte
	switch f := f.(type) {
	case frame.Headers:
		m, block = Block{StreamID: f.StreamID, EndStream: f.EndStream}, f.Fragment
	case frame.PushPromise:
		m, block = Block{StreamID: f.StreamID, PromisedID: f.PromisedID}, f.Fragment
	default:
		return f, n, nil
	}
	for m.Frames = 1; !h.Flags.Has(frame.FlagEndHeaders); m.Frames++ {
		var size int
		if h, payload, size, err = frame.Split(b[n:], c.MaxFrameSize); err != nil || size == 0 {
			return nil, 0, err
		}
		if h.Type != frame.TypeContinuation || h.StreamID != m.StreamID {
			return nil, 0, fmt.Errorf("%v follows a field block of stream %d that has not ended", h, m.StreamID)
		}
		block = append(block, payload...)
		n += size
	}
	if m.Fields, err = c.Fields(block); err != nil {
		return nil, 0, fmt.Errorf("field block of stream %d: %w", m.StreamID, err)
	}
	return m, n, nil
}

// Fields decodes a whole field block. Blocks have to be given in the order in which they came.
func (c *Codec) Fields(block []byte) ([]hpack.HeaderField, error) { return c.dec.DecodeFull(block) }
