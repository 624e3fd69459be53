package core

import (
	"math"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// frameDecoder cuts frames and decodes header blocks. It belongs to the reader and shares nothing
// with the rest of a Conn, so that the reader can decode while other goroutines append to the
// output under the lock.
type frameDecoder struct {
	server           bool
	prefaceLeft      string // octets of the client preface that have not arrived
	settingsFirst    bool   // the next frame must be SETTINGS
	maxFrame         uint32 // length of a payload, see Config.MaxReadFrameSize
	maxBlock         int    // compressed octets of one header block
	maxContinuations int    // see Limits.MaxContinuations

	hpack   *header.Decoder
	pending headerBlock // if open, the header block of which CONTINUATION must follow

	*decoded // nil until the first Decode, and perhaps after Compact
}

// decoded is what the last Decode has decoded, for Apply.
type decoded struct {
	header   frame.Header
	payload  []byte
	isFrame  bool // false for a piece of the client preface
	complete bool // Apply has something to do: a frame, or a whole header block
	refusal  refusal
	block    headerBlock    // the last whole header block
	msg      header.Message // the fields of block
}

// headerBlock is a HEADERS or PUSH_PROMISE frame with its CONTINUATION frames: the block comes in
// one piece, without another frame in between (RFC 9113 §4.3).
type headerBlock struct {
	open          bool // CONTINUATION must follow
	streamID      uint32
	promisedID    uint32 // the promised stream of PUSH_PROMISE, 0 for HEADERS
	endStream     bool
	hasPriority   bool
	priority      frame.PriorityParam
	continuations int // number of CONTINUATION frames, where an empty one counts twice
	octets        int // compressed length so far
}

func (dec *frameDecoder) init(cfg *Config, maxContinuations int) {
	dec.server = cfg.Role == Server
	if dec.server && !cfg.PrefaceDone {
		dec.prefaceLeft = frame.Preface
	}
	dec.settingsFirst = true
	dec.maxFrame = cfg.MaxReadFrameSize
	dec.maxBlock = int(min(max(2*uint64(cfg.MaxHeaderBytes), frame.MinMaxFrameSize), math.MaxInt32))
	dec.maxContinuations = maxContinuations
	// The peer may use a table of the initial size until it has acknowledged ours (RFC 9113
	// §6.5.3).
	dec.hpack = header.NewDecoder(cfg.DecoderTableSize, cfg.MaxHeaderBytes, cfg.MaxHeaderFields)
	if !dec.server {
		dec.hpack.SetClient()
	}
}

// Decode takes at most one frame off b and returns the number of octets it took: 0 when b holds
// less than a whole frame. The frame takes effect with the next Apply. b must stay as it is until
// the events of that Apply have been taken. An error is a *frame.ConnError, to be handed to Fail.
//
// Decode belongs to the reader, as Frame and Refuse do: it needs no lock, but must not run
// at the same time as another of the reader's methods, Apply or Compact.
func (d Driver) Decode(b []byte) (n int, err error) {
	dec := &d.dec
	if dec.decoded == nil {
		dec.decoded = new(decoded)
	}
	dec.isFrame, dec.complete = false, false
	if dec.prefaceLeft != "" {
		return dec.preface(b)
	}
	h, p, n, err := frame.Split(b, dec.maxFrame)
	if n == 0 {
		dec.payload = nil // it would keep the reader's buffer in memory
		return 0, err
	}
	dec.header, dec.payload, dec.isFrame = h, p, true
	if dec.settingsFirst {
		if h.Type != frame.TypeSettings || h.Flags.Has(frame.FlagAck) {
			return 0, frame.NewConnError(frame.ProtocolError, "RFC 9113 §3.4", "first frame is not SETTINGS")
		}
		dec.settingsFirst = false
	}
	if dec.pending.open && (h.Type != frame.TypeContinuation || h.StreamID != dec.pending.streamID) {
		return 0, frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.10", "header block interrupted by another frame")
	}
	switch h.Type {
	case frame.TypeHeaders:
		err = dec.headers(h, p)
	case frame.TypePushPromise:
		err = dec.pushPromise(h, p)
	case frame.TypeContinuation:
		err = dec.continuation(h, p)
	default:
		dec.complete = true
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (dec *frameDecoder) headers(h frame.Header, p []byte) error {
	f, err := frame.ParseHeaders(h, p)
	if err != nil {
		return err
	}
	dec.pending = headerBlock{
		streamID: f.StreamID, endStream: f.EndStream,
		hasPriority: f.HasPriority, priority: f.Priority,
	}
	if f.HasPriority && f.Priority.DependsOn == f.StreamID {
		return errSelfDependency()
	}
	return dec.fragment(f.Fragment, f.EndHeaders)
}

// errSelfDependency is the error for a stream that depends on itself. For RFC 7540 §5.3.1 it is a
// stream error, and RFC 9113 §5.3.2 does not have it any more. As a connection error it cannot be
// used to make us send RST_STREAM.
func errSelfDependency() error {
	return frame.NewConnError(frame.ProtocolError, "RFC 7540 §5.3.1", "stream depends on itself")
}

func (dec *frameDecoder) pushPromise(h frame.Header, p []byte) error {
	if dec.server {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §8.4", "PUSH_PROMISE from a client")
	}
	f, err := frame.ParsePushPromise(h, p)
	if err != nil {
		return err
	}
	dec.pending = headerBlock{streamID: f.StreamID, promisedID: f.PromisedID}
	return dec.fragment(f.Fragment, f.EndHeaders)
}

// fragment takes a piece of a header block. A server ends the connection for one that is too long.
// A client goes on to decode it, which keeps the HPACK table in order, because the end of the
// connection would be the end of other responses, too.
func (dec *frameDecoder) fragment(p []byte, end bool) error {
	dec.pending.octets += len(p)
	if dec.pending.octets > dec.maxBlock {
		if dec.server {
			dec.hpack.Drop()
			return enhanceYourCalm("header block too long")
		}
		if err := dec.hpack.Discard(); err != nil {
			return err
		}
	}
	if !end {
		dec.pending.open = true
		return dec.hpack.Write(p)
	}
	dec.block = dec.pending
	dec.pending = headerBlock{}
	dec.complete = true
	return dec.hpack.Decode(p, &dec.msg)
}

// Receive handles every whole frame in b, and returns the number n of octets that those have.
// Events with a view into b must be taken before b changes, so Receive stops after each frame that
// has an event: with more set, it is to be called again with b[n:]. Without, b[n:] is the beginning
// of a frame, with which the next call begins, and which must be complete in time (see
// Config.HeaderTimeout and FrameTimeout). An error is a *frame.ConnError, to be handed to Fail.
//
// Receive does what Driver.Decode, Driver.Apply and Driver.SetPartial do, for a caller with one
// goroutine.
func (c *Conn) Receive(b []byte, now time.Time) (n int, more bool, err error) {
	d := c.Driver()
	for {
		k, err := d.Decode(b[n:])
		if err != nil {
			return n, false, err
		}
		if k == 0 {
			d.SetPartial(b[n:], now)
			return n, false, nil
		}
		n += k
		if err := d.Apply(now); err != nil {
			return n, false, err
		}
		if c.events.next < len(c.events.list) {
			return n, true, nil
		}
	}
}
