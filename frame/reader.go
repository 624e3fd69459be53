package frame

import "io"

// Reader reads whole frames from an io.Reader, for tools, proxies and tests that have no connection
// of package conn. A header block that was split is joined: HEADERS or PUSH_PROMISE and the
// CONTINUATION frames behind it become one frame, which ParseHeaders or ParsePushPromise takes. The
// block is checked to be uninterrupted (RFC 9113 §4.3, §6.2, §6.10), and what a peer can make the
// Reader hold is bounded.
//
// The fields may be changed between calls of Next. A Reader has one owner: its methods must not run
// at the same time. It has two buffers, which grow to the largest frame and to the largest split
// block that it has read, and are used again: then Next allocates nothing unless it returns an
// error.
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
	buf     []byte // what was read
	at      int    // how much of buf was returned
	readErr error  // of the last Read, which also brought octets
	broken  error  // the peer's fault that ended the reading

	// The block under way, or the last one.
	joining bool
	head    Header
	fixed   int    // octets in front of the first fragment
	block   []byte // they and the fragments so far
	conts   int
}

const (
	defaultMaxBlock         = 1 << 20
	defaultMaxContinuations = 64

	octetsPerContinuation = 16   // of a block, which pay for a CONTINUATION frame
	firstBuffer           = 4096 // octets
	mostEmptyReads        = 100  // in a row, as in package bufio
)

// NewReader returns a Reader of r with the default bounds.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Reset makes the Reader begin anew with r, with the bounds and the memory that it has. What it has
// buffered is dropped.
func (r *Reader) Reset(from io.Reader) {
	*r = Reader{
		MaxSize: r.MaxSize, MaxBlock: r.MaxBlock, MaxContinuations: r.MaxContinuations,
		r: from, buf: r.buf[:0], block: r.block[:0],
	}
}

// Buffered returns the octets that were read from the io.Reader and belong to no frame that was
// returned. It is a view that is valid until the next call. With it the connection can be handed on
// between two frames.
func (r *Reader) Buffered() []byte { return r.buf[r.at:len(r.buf):len(r.buf)] }

// ReadPreface reads the octets that a client sends first (RFC 9113 §3.4). Others are a *ConnError
// of PROTOCOL_ERROR, found at the first wrong octet. Call it before Next on a server's side. Errors
// are otherwise those of Next.
func (r *Reader) ReadPreface() error {
	if r.broken != nil {
		return r.broken
	}
	for {
		b := r.buf[r.at:]
		n := min(len(b), len(Preface))
		if string(b[:n]) != Preface[:n] {
			r.broken = NewConnError(ProtocolError, "RFC 9113 §3.4", "invalid connection preface")
			return r.broken
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
// HEADERS and PUSH_PROMISE come with their whole header block. Where CONTINUATION frames were
// joined to one, the header is that of the frame that could have carried the block: without
// padding, with END_HEADERS, and with a Length that may be above MaxSize. So Fragment of the parsed
// frame is a whole field block for an HPACK decoder. Next never returns CONTINUATION.
//
// The error is io.EOF where the io.Reader ends between two frames, or two blocks, and
// io.ErrUnexpectedEOF where it ends within one. Another error of the io.Reader is returned as it
// is, and loses nothing: after a deadline, for example, Next may be called again. A fault of the
// peer is a *ConnError, which is returned from then on.
func (r *Reader) Next() (Header, []byte, error) {
	for r.broken == nil {
		h, p, n, err := Split(r.buf[r.at:], r.maxSize())
		switch {
		case err != nil:
			r.broken = err
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
			whole := false
			if h, p, whole, r.broken = r.join(h, p); whole {
				return h, p, nil
			}
		}
	}
	return Header{}, nil, r.broken
}

// join takes a frame that was read. It returns a frame where that is whole.
func (r *Reader) join(h Header, p []byte) (_ Header, _ []byte, whole bool, err error) {
	switch {
	case r.joining:
		return r.goOn(h, p)
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
	r.joining, r.head, r.conts = true, h, 0
	r.fixed = len(rest) - len(fragment)
	r.block = append(r.block[:0], rest...)
	return h, nil, false, nil
}

// withoutPadding checks a frame that begins a header block. It returns the payload without padding,
// and the fragment, with which it ends.
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

// goOn takes the frame behind a part of a header block.
func (r *Reader) goOn(h Header, p []byte) (_ Header, _ []byte, whole bool, err error) {
	if h.Type != TypeContinuation || h.StreamID != r.head.StreamID {
		return h, nil, false, errBlockOrder("header block interrupted by another frame")
	}
	r.conts++
	if len(p) == 0 {
		r.conts++
	}
	octets := len(r.block) - r.fixed
	if r.conts-octets/octetsPerContinuation > r.maxContinuations() {
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

// fill reads once, for need octets behind r.at in the end.
func (r *Reader) fill(need int) error {
	if err := r.readErr; err != nil {
		r.readErr = nil
		return r.endOf(err)
	}
	r.makeRoom(need)
	for range mostEmptyReads {
		n, err := r.r.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			r.readErr = err
			return nil
		}
		if err != nil {
			return r.endOf(err)
		}
	}
	return io.ErrNoProgress
}

// endOf is err, or io.ErrUnexpectedEOF for an end within a frame or a block.
func (r *Reader) endOf(err error) error {
	if err == io.EOF && (r.joining || r.at < len(r.buf)) { //nolint:errorlint // one that wraps io.EOF is no end
		return io.ErrUnexpectedEOF
	}
	return err
}

// makeRoom makes room for at least one octet behind what is in buf. Room grows with what has come,
// not with what the length of a frame promises.
func (r *Reader) makeRoom(need int) {
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

func (r *Reader) maxSize() uint32 { return orDefault(r.MaxSize, MinMaxSize, MaxMaxSize) }

func (r *Reader) maxBlock() int {
	return orDefault(r.MaxBlock, defaultMaxBlock, MaxMaxSize-priorityLen)
}

func (r *Reader) maxContinuations() int {
	if r.MaxContinuations < 0 {
		return 0
	}
	return orDefault(r.MaxContinuations, defaultMaxContinuations, MaxMaxSize)
}

// orDefault is v, or def where v is not positive, and at most most.
func orDefault[N int | uint32](v, def, most N) N {
	if v <= 0 {
		v = def
	}
	return min(v, most)
}
