package frame

import "io"

// Reader reads complete frames from an io.Reader, for tools, proxies and tests that do not use
// package conn. A header block that was split is joined: HEADERS or PUSH_PROMISE and the
// CONTINUATION frames that follow it become one frame, which ParseHeaders or ParsePushPromise
// takes. The block is checked to be uninterrupted (RFC 9113 §4.3, §6.2, §6.10), and what a peer
// can make the Reader hold is bounded.
//
// The fields may be changed between calls of Next. A Reader has one owner: its methods must not run
// at the same time. It has two buffers, which grow to the largest frame and to the largest split
// block that it has read, and are used again. Once they are large enough, Next allocates nothing
// unless it returns an error.
type Reader struct {
	// MaxSize is the most octets of payload that a frame may have, our SETTINGS_MAX_FRAME_SIZE. A
	// longer one is a *ConnError of FRAME_SIZE_ERROR (RFC 9113 §4.2). Default 16,384, at most
	// 2^24-1.
	MaxSize uint32

	// MaxBlock is the most octets that a header block may have, compressed as it is, with all its
	// fragments. A longer one is a *ConnError of ENHANCE_YOUR_CALM. Default 1 MiB, at most 2^24-6,
	// which fits one frame.
	MaxBlock int

	// MaxContinuations is how many CONTINUATION frames a block may have beyond one for each 16
	// octets of the block; an empty one counts twice. More are a *ConnError of ENHANCE_YOUR_CALM.
	// Default 64; negative: none.
	MaxContinuations int

	r       io.Reader
	buf     []byte // octets that were read from r
	at      int    // the octets of buf before this index were returned
	readErr error  // error of the last Read, when that Read returned octets too
	fault   error  // fault of the peer, returned by every call from then on

	joining       bool   // a header block has begun and has not ended
	head          Header // header of the frame that began the last block
	fixed         int    // octets of block before its first fragment
	block         []byte // payload of the last block so far: the fixed octets and the fragments
	continuations int    // CONTINUATION frames of the last block; an empty one counts twice
}

const (
	defaultMaxBlock         = 1 << 20
	defaultMaxContinuations = 64

	octetsPerContinuation = 16   // a block may have one CONTINUATION frame more for so many octets
	firstBuffer           = 4096 // octets
	maxEmptyReads         = 100  // reads of 0 octets in a row, as in package bufio
)

// NewReader returns a Reader of r with the default bounds.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Reset makes the Reader read from another io.Reader. It keeps its bounds and its memory, and drops
// the octets that it has buffered.
func (r *Reader) Reset(from io.Reader) {
	*r = Reader{
		MaxSize: r.MaxSize, MaxBlock: r.MaxBlock, MaxContinuations: r.MaxContinuations,
		r: from, buf: r.buf[:0], block: r.block[:0],
	}
}

// Buffered returns the octets that were read from the io.Reader and belong to no frame that was
// returned. It is a view that is valid until the next call. A caller that stops using the Reader
// between two frames continues with these octets.
func (r *Reader) Buffered() []byte { return r.buf[r.at:len(r.buf):len(r.buf)] }

// ReadPreface reads the octets that a client sends first (RFC 9113 §3.4). Others are a *ConnError
// of PROTOCOL_ERROR, found at the first wrong octet. Call it before Next on a server's side. Errors
// are otherwise those of Next.
func (r *Reader) ReadPreface() error {
	if r.fault != nil {
		return r.fault
	}
	for {
		b := r.buf[r.at:]
		n := min(len(b), len(Preface))
		if string(b[:n]) != Preface[:n] {
			r.fault = NewConnError(ProtocolError, "RFC 9113 §3.4", "invalid connection preface")
			return r.fault
		}
		if n == len(Preface) {
			r.at += n
			return nil
		}
		if err := r.fill(len(Preface)); err != nil {
			return err
		}
	}
}

// Next returns the header and the payload of the next frame, for Parse or the parser of its type.
// The payload is a view that is valid until the next call.
//
// HEADERS and PUSH_PROMISE come with their complete header block. Where CONTINUATION frames were
// joined to one, the header is that of the frame that could have carried the block: without
// padding, with END_HEADERS, and with a Length that may be above MaxSize. So Fragment of the parsed
// frame is a complete field block for an HPACK decoder. Next never returns CONTINUATION.
//
// The error is io.EOF where the io.Reader ends between two frames, or two blocks, and
// io.ErrUnexpectedEOF where it ends within one. Another error of the io.Reader is returned as it
// is, and no octets are lost: after a deadline, for example, Next may be called again. A fault of
// the peer is a *ConnError, and every later call returns the same error.
func (r *Reader) Next() (Header, []byte, error) {
	for r.fault == nil {
		h, p, n, err := Split(r.buf[r.at:], r.maxSize())
		switch {
		case err != nil:
			r.fault = err
		case n == 0:
			need := HeaderLen
			if len(r.buf)-r.at >= HeaderLen {
				need += int(h.Length)
			}
			if err := r.fill(need); err != nil {
				return Header{}, nil, err
			}
		default:
			r.at += n
			complete := false
			if h, p, complete, r.fault = r.join(h, p); complete {
				return h, p, nil
			}
		}
	}
	return Header{}, nil, r.fault
}

// join handles a frame that was read. complete reports whether the returned frame is to be returned
// by Next: a frame that is not part of a block, or the frame that the block was joined to.
func (r *Reader) join(h Header, p []byte) (_ Header, _ []byte, complete bool, err error) {
	switch {
	case r.joining:
		return r.joinNext(h, p)
	case h.Type == TypeContinuation:
		return h, nil, false, errBlockOrder("CONTINUATION without HEADERS before it")
	case h.Type != TypeHeaders && h.Type != TypePushPromise:
		return h, p, true, nil
	}
	rest, fragment, err := withoutPadding(h, p)
	if err != nil {
		return h, nil, false, err
	}
	if len(fragment) > r.maxBlock() {
		return h, nil, false, errBlock()
	}
	if h.Flags.Has(FlagEndHeaders) {
		return h, p, true, nil
	}
	r.joining, r.head, r.continuations = true, h, 0
	r.fixed = len(rest) - len(fragment)
	r.block = append(r.block[:0], rest...)
	return h, nil, false, nil
}

// withoutPadding checks a frame that begins a header block. It returns the payload without padding,
// and the fragment, which is the last part of that.
func withoutPadding(h Header, p []byte) (rest, fragment []byte, err error) {
	fixed := 0
	if h.Type == TypePushPromise {
		f, err := ParsePushPromise(h, p)
		if err != nil {
			return nil, nil, err
		}
		fragment, fixed = f.Fragment, promisedLen
	} else {
		f, err := ParseHeaders(h, p)
		if err != nil {
			return nil, nil, err
		}
		fragment = f.Fragment
		if f.HasPriority {
			fixed = priorityLen
		}
	}
	if h.Flags.Has(FlagPadded) {
		p = p[1:] // Pad Length
	}
	return p[:fixed+len(fragment)], fragment, nil
}

// joinNext handles a frame that comes while a header block has begun and not ended.
func (r *Reader) joinNext(h Header, p []byte) (_ Header, _ []byte, complete bool, err error) {
	if h.Type != TypeContinuation || h.StreamID != r.head.StreamID {
		return h, nil, false, errBlockOrder("header block interrupted by another frame")
	}
	r.continuations++
	if len(p) == 0 {
		r.continuations++
	}
	octets := len(r.block) - r.fixed
	if r.continuations-octets/octetsPerContinuation > r.maxContinuations() {
		return h, nil, false, errContinuations()
	}
	if octets+len(p) > r.maxBlock() {
		return h, nil, false, errBlock()
	}
	r.block = append(r.block, p...)
	if !h.Flags.Has(FlagEndHeaders) {
		return h, nil, false, nil
	}
	r.joining = false
	h = r.head
	h.Flags = h.Flags&^FlagPadded | FlagEndHeaders
	h.Length = lengthOf(len(r.block))
	return h, r.block[:len(r.block):len(r.block)], true, nil
}

//go:noinline
func errBlockOrder(reason string) error {
	return NewConnError(ProtocolError, section(TypeContinuation), reason)
}

//go:noinline
func errContinuations() error {
	return NewConnError(EnhanceYourCalm, section(TypeContinuation), "too many CONTINUATION frames in a header block")
}

//go:noinline
func errBlock() error {
	return NewConnError(EnhanceYourCalm, "RFC 9113 §10.5.1", "header block is too long")
}

// fill reads once. need is how many octets from r.at on the caller waits for.
func (r *Reader) fill(need int) error {
	if err := r.readErr; err != nil {
		r.readErr = nil
		return r.eofError(err)
	}
	r.grow(need)
	for range maxEmptyReads {
		n, err := r.r.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			r.readErr = err
			return nil
		}
		if err != nil {
			return r.eofError(err)
		}
	}
	return io.ErrNoProgress
}

// eofError returns err, or io.ErrUnexpectedEOF for io.EOF within a frame or a block.
func (r *Reader) eofError(err error) error {
	if err == io.EOF && (r.joining || r.at < len(r.buf)) { //nolint:errorlint // not what wraps io.EOF
		return io.ErrUnexpectedEOF
	}
	return err
}

// grow makes room for at least one octet after those in buf. The buffer grows with the octets that
// have come, not with the length that a frame header states.
func (r *Reader) grow(need int) {
	if r.at > 0 && (r.at == len(r.buf) || cap(r.buf)-r.at < need) {
		r.buf = r.buf[:copy(r.buf, r.buf[r.at:])]
		r.at = 0
	}
	if len(r.buf) < cap(r.buf) {
		return
	}
	b := make([]byte, len(r.buf), max(firstBuffer, min(2*cap(r.buf), r.at+need)))
	copy(b, r.buf)
	r.buf = b
}

func (r *Reader) maxSize() uint32 { return orDefault(r.MaxSize, MinMaxFrameSize, MaxMaxFrameSize) }

func (r *Reader) maxBlock() int {
	return orDefault(r.MaxBlock, defaultMaxBlock, MaxMaxFrameSize-priorityLen)
}

func (r *Reader) maxContinuations() int {
	if r.MaxContinuations < 0 {
		return 0
	}
	return orDefault(r.MaxContinuations, defaultMaxContinuations, MaxMaxFrameSize)
}

// orDefault returns v, or def where v is not positive, and at most limit.
func orDefault[N int | uint32](v, def, limit N) N {
	if v <= 0 {
		v = def
	}
	return min(v, limit)
}
