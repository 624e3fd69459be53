package core

import (
	"math"
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// inbound is the reader's half: it cuts frames and decodes header blocks. It shares nothing with
// the rest, so that the reader can work while other goroutines append to the output under the lock.
type frameDecoder struct {
	server           bool
	prefaceLeft      string // octets of the client preface still to come
	settingsFirst    bool   // the next frame must be SETTINGS
	partialHeaders   bool   // what Partial has found to have begun is a header block
	maxFrame         uint32
	maxBlock         int // compressed octets of one header block
	maxContinuations int

	hpack   *header.Decoder
	pending headerBlock // of which CONTINUATION must follow, when open

	*decoded // nil while there is nothing to be decoded: see Trim
}

// found is what the last Decode has found, for Apply.
type decoded struct {
	header   frame.Header
	payload  []byte
	isFrame  bool // it was a frame, not a piece of the preface
	complete bool // got is to be applied
	refusal  refusal
	block    headerBlock
	msg      header.Message
}

// headerBlock is a HEADERS or PUSH_PROMISE frame with its CONTINUATION frames.
type headerBlock struct {
	open          bool
	streamID      uint32
	promisedID    uint32 // of PUSH_PROMISE
	endStream     bool
	hasPriority   bool
	priority      frame.PriorityParam
	continuations int
	octets        int
}

func (in *frameDecoder) init(cfg *Config, maxConts int) {
	in.server = cfg.Role == Server
	if in.server && !cfg.PrefaceDone {
		in.prefaceLeft = frame.Preface
	}
	in.settingsFirst = true
	in.maxFrame = cfg.MaxReadFrameSize
	in.maxBlock = int(min(max(2*uint64(cfg.MaxHeaderBytes), frame.MinMaxFrameSize), math.MaxInt32))
	in.maxContinuations = maxConts
	// The peer may use a table of the initial size until it has acknowledged ours (RFC 9113
	// §6.5.3).
	in.hpack = header.NewDecoder(cfg.DecoderTableSize, cfg.MaxHeaderBytes, cfg.MaxHeaderFields)
	if !in.server {
		in.hpack.SetClient()
	}
}

// Decode takes at most one frame off b and returns the number of octets it took: 0 when b holds
// less than a whole frame. The frame takes effect with the next Apply. b must stay as it is until
// the events of that Apply have been taken. An error is a *frame.ConnError, to be handed to Fail.
//
// Decode touches only what the reader owns: it needs no lock, but must not run at the same time as
// itself, Apply or Receive.
func (d Driver) Decode(b []byte) (n int, err error) {
	in := &d.dec
	if in.decoded == nil {
		in.decoded = new(decoded)
	}
	in.isFrame, in.complete = false, false
	if in.prefaceLeft != "" {
		return in.preface(b)
	}
	h, p, n, err := frame.Split(b, in.maxFrame)
	if n == 0 {
		in.payload = nil // it would keep the reader's buffer in memory
		return 0, err
	}
	in.header, in.payload, in.isFrame = h, p, true
	if in.settingsFirst {
		if h.Type != frame.TypeSettings || h.Flags.Has(frame.FlagAck) {
			return 0, frame.NewConnError(frame.ProtocolError, "RFC 9113 §3.4", "first frame is not SETTINGS")
		}
		in.settingsFirst = false
	}
	if in.pending.open && (h.Type != frame.TypeContinuation || h.StreamID != in.pending.streamID) {
		return 0, frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.10", "header block interrupted by another frame")
	}
	switch h.Type {
	case frame.TypeHeaders:
		err = in.headers(h, p)
	case frame.TypePushPromise:
		err = in.pushPromise(h, p)
	case frame.TypeContinuation:
		err = in.continuation(h, p)
	default:
		in.complete = true
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (in *frameDecoder) headers(h frame.Header, p []byte) error {
	f, err := frame.ParseHeaders(h, p)
	if err != nil {
		return err
	}
	in.pending = headerBlock{
		streamID: f.StreamID, endStream: f.EndStream,
		hasPriority: f.HasPriority, priority: f.Priority,
	}
	if f.HasPriority && f.Priority.DependsOn == f.StreamID {
		return errSelfDependency()
	}
	return in.fragment(f.Fragment, f.EndHeaders)
}

// errSelfDependency is for a stream that depends on itself. RFC 9113 §5.3.2 knows the error no
// more, RFC 7540 §5.3.1 made it a stream error. A connection error gives nobody a way to make us
// send resets.
func errSelfDependency() error {
	return frame.NewConnError(frame.ProtocolError, "RFC 7540 §5.3.1", "stream depends on itself")
}

func (in *frameDecoder) pushPromise(h frame.Header, p []byte) error {
	if in.server {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §8.4", "PUSH_PROMISE from a client")
	}
	f, err := frame.ParsePushPromise(h, p)
	if err != nil {
		return err
	}
	in.pending = headerBlock{streamID: f.StreamID, promisedID: f.PromisedID}
	return in.fragment(f.Fragment, f.EndHeaders)
}

func (in *frameDecoder) continuation(h frame.Header, p []byte) error {
	if !in.pending.open {
		return frame.NewConnError(frame.ProtocolError, "RFC 9113 §6.10", "CONTINUATION without HEADERS before it")
	}
	f, err := frame.ParseContinuation(h, p)
	if err != nil {
		return err
	}
	in.pending.continuations++
	if len(f.Fragment) == 0 {
		in.pending.continuations++
	}
	if over(in.pending.continuations-in.pending.octets/octetsPerContinuation, in.maxContinuations) {
		in.hpack.Drop()
		return enhanceYourCalm("too_many_continuations")
	}
	return in.fragment(f.Fragment, f.EndHeaders)
}

// octetsPerContinuation is how many octets of its header block pay for a CONTINUATION frame. Peers
// may split a block as they like; what is smaller than this is hardly more than a frame header.
const octetsPerContinuation = 16

// fragment takes a piece of a header block. A client goes on to decode one that is far over its
// limits, for the sake of the table, since to end the connection would be the end of other
// responses, too.
func (in *frameDecoder) fragment(p []byte, end bool) error {
	in.pending.octets += len(p)
	if in.pending.octets > in.maxBlock {
		if in.server {
			in.hpack.Drop()
			return enhanceYourCalm("header block too long")
		}
		if err := in.hpack.Discard(); err != nil {
			return err
		}
	}
	if err := in.hpack.Write(p); err != nil {
		return err
	}
	if !end {
		in.pending.open = true
		return nil
	}
	in.block = in.pending
	in.pending = headerBlock{}
	in.complete = true
	return in.hpack.Finish(&in.msg)
}

// Receive handles every whole frame in b, and returns how many octets those have. Events that view b
// must be taken before b changes; so Receive stops after each frame that has an event, and more
// means that it is to be called again with b[n:]. When more is false, b[n:] is the beginning of a
// frame, which must be complete in time (see Config.HeaderTimeout and FrameTimeout): the next call
// begins with it. An error is a *frame.ConnError, to be handed to Fail.
//
// Receive is Driver.Decode, Driver.Apply and Driver.SetPartial for a caller with one goroutine.
func (c *Conn) Receive(b []byte, now time.Time) (n int, more bool, err error) {
	d := c.Driver()
	for {
		k, err := d.Decode(b[n:])
		if err != nil {
			return n, false, err
		}
		if k == 0 {
			d.SetPartial(d.Partial(b[n:]), now)
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
