package tunnel

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

const (
	h1Buffer      = 8 << 10
	maxPipelined  = 64              // requests of a connection that are under way
	lingerTimeout = time.Second     // in which a client that was answered may stop sending
	closeGrace    = 5 * time.Second // in which the last octets are taken
)

// h1relay relays between two connections of HTTP/1.1. The octets are those of the peers but for the
// fields that are set in requests; messages are parsed as far as it takes to know where they end.
//
// There are two goroutines, one for each direction. Where the client begins with something that is
// no HTTP, the origin sends something that was not asked for, or a connection is upgraded, the rest
// is relayed as octets.
type h1relay struct {
	*session
	requests, responses h1pipe

	pending chan *h1exchange // requests that were sent on, in order
	ended   chan struct{}    // closed when the direction of the responses has ended
	open    atomic.Int32     // requests that were sent on and not answered
	octets  atomic.Bool      // what is relayed is no HTTP, or no more
	refusal atomic.Pointer[Refusal]
}

// h1pipe is one direction.
type h1pipe struct {
	from, to           net.Conn
	fromBelow, toBelow *countedConn // without TLS
	r                  *bufio.Reader
	w                  *bufio.Writer // flushed before a read waits
	strict             bool          // trailers that peers may read in different ways are an error
}

func newH1Pipe(from, to net.Conn, fromBelow, toBelow *countedConn) h1pipe {
	w := bufio.NewWriterSize(to, h1Buffer)
	return h1pipe{
		from: from, to: to, fromBelow: fromBelow, toBelow: toBelow,
		r: bufio.NewReaderSize(&flushingReader{from, w}, h1Buffer), w: w,
	}
}

// flushingReader flushes what was written before it reads.
type flushingReader struct {
	net.Conn
	w *bufio.Writer
}

func (r *flushingReader) Read(p []byte) (int, error) {
	if err := r.w.Flush(); err != nil {
		return 0, &writeError{err}
	}
	return r.Conn.Read(p)
}

// writeError is an error of the connection that is written to.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// sideOf says of which side the error of a direction is, where source is the side that it comes
// from.
func sideOf(err error, source int) error {
	var written *writeError
	if errors.As(err, &written) {
		source = 1 - source
	}
	return failedSide(source, err)
}

// drain ends the connections when the proxy shuts down and no request is under way.
func (r *h1relay) drain() {
	select {
	case <-r.p.init().draining:
		if r.open.Load() == 0 {
			_ = r.originTLS.SetReadDeadline(time.Unix(1, 0))
		}
	case <-r.ended:
	}
}

// draining reports whether the proxy shuts down.
func (r *h1relay) draining() bool {
	select {
	case <-r.p.init().draining:
		return true
	default:
		return false
	}
}

// h1exchange is a request and its response.
type h1exchange struct {
	record         Record
	upgrade        bool      // the request asks for another protocol, or is CONNECT
	switched       chan bool // with upgrade: gets whether what follows the response is another protocol
	told           bool      // that was said; for the direction of responses
	sent, received atomic.Int64
}

func (s *session) newH1Relay() *h1relay {
	client, origin := s.traced(s.clientTLS, ClientLeg), s.traced(s.originTLS, OriginLeg)
	r := &h1relay{
		session: s, requests: newH1Pipe(client, origin, s.clientRaw, s.originRaw),
		responses: newH1Pipe(origin, client, s.originRaw, s.clientRaw),
		pending:   make(chan *h1exchange, maxPipelined), ended: make(chan struct{}),
	}
	r.requests.strict = true
	return r
}

// relayHTTP1 returns when both directions have ended.
func (s *session) relayHTTP1() (err error) {
	r := s.newH1Relay()
	requests := make(chan error, 1)
	go func() { requests <- sideOf(r.passRequests(), clientSide) }()
	go r.drain()
	defer func() { r.finishUnanswered(err) }()
	err = sideOf(r.finishResponses(r.passResponses()), targetSide)
	close(r.ended)
	if r.octets.Load() && err == nil {
		return <-requests // this direction goes on
	}
	_ = s.clientTLS.SetReadDeadline(time.Now().Add(lingerTimeout))
	if err != nil {
		s.closeBoth()
	}
	rerr := <-requests
	if err == nil && r.octets.Load() {
		err = rerr
	}
	return err
}

// finishUnanswered completes the records of requests that were sent on and have got no response.
// Both directions have ended, with err.
func (r *h1relay) finishUnanswered(err error) {
	if err == nil {
		err = failedSide(targetSide, errResponsesEnded)
	}
	for {
		select {
		case x := <-r.pending:
			x.finish(r.session, err)
		default:
			return
		}
	}
}

// relayOctets relays what is no HTTP.
func (s *session) relayOctets() error {
	r := s.newH1Relay()
	r.octets.Store(true)
	requests := make(chan error, 1)
	go func() { requests <- sideOf(r.requests.endWith(r.requests.copyOctets(nil)), clientSide) }()
	err := sideOf(r.responses.endWith(r.responses.copyOctets(nil)), targetSide)
	if err != nil {
		s.closeBoth()
	}
	rerr := <-requests
	if err == nil {
		err = rerr
	}
	return err
}

// endWith ends a direction: in good order as its source has, or by closing what it leads to without
// a word of TLS, so that the peer does not take what it has for the whole.
func (p *h1pipe) endWith(err error) error {
	if ferr := p.w.Flush(); err == nil {
		err = ferr
	}
	switch {
	case err != nil:
		_ = p.toBelow.Close()
		return err
	case p.fromBelow.ended.Load(): // crypto/tls takes FIN alone for the end, too, which other peers do not
		return closeWrite(p.toBelow)
	}
	return closeWrite(p.to)
}

// copyOctets relays octets until the source ends.
func (p *h1pipe) copyOctets(count *atomic.Int64) error {
	for {
		if _, err := p.r.Peek(1); err != nil {
			if err == io.EOF {
				return p.w.Flush()
			}
			return err
		}
		if err := p.passBuffered(p.r.Buffered(), count); err != nil {
			return err
		}
	}
}

// copyN relays n octets.
func (p *h1pipe) copyN(n int64, count *atomic.Int64) error {
	for n > 0 {
		if _, err := p.r.Peek(1); err != nil {
			return unexpected(err)
		}
		k := int(min(n, int64(p.r.Buffered())))
		if err := p.passBuffered(k, count); err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

func (p *h1pipe) passBuffered(n int, count *atomic.Int64) error {
	b, _ := p.r.Peek(n)
	if _, err := p.w.Write(b); err != nil {
		return &writeError{err}
	}
	if count != nil {
		count.Add(int64(n))
	}
	_, _ = p.r.Discard(n)
	return nil
}

func unexpected(err error) error {
	if err == io.EOF { //nolint:errorlint // a message ends too early
		return io.ErrUnexpectedEOF
	}
	return err
}

// readHead reads a head with the empty line at its end, or a trailer section. What was read is
// returned with every error.
func (p *h1pipe) readHead() (head []byte, err error) {
	for {
		line, err := p.r.ReadSlice('\n')
		head = append(head, line...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return head, unexpected(err)
		case len(bytes.TrimRight(line, "\r\n")) == 0 && lineBegins(head, len(line)):
			return head, nil
		}
		if len(head) > maxInterceptedHead {
			return head, errHeadTooLarge
		}
	}
}

// lineBegins reports whether the last n octets of head are a line of their own, and not the rest of
// one that was longer than the buffer.
func lineBegins(head []byte, n int) bool { return len(head) == n || head[len(head)-n-1] == '\n' }

var errHeadTooLarge = errors.New("the header section is too large for the proxy")

// passChunked relays content in chunks (RFC 9112 §7.1) with its trailers.
func (p *h1pipe) passChunked(count *atomic.Int64) error {
	for {
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return unexpected(err)
		}
		size, ok := chunkSize(line)
		if !ok {
			return errors.New("malformed chunk")
		}
		if _, err := p.w.Write(line); err != nil {
			return &writeError{err}
		}
		if size == 0 {
			return p.passTrailers()
		}
		if err := p.copyN(size, count); err != nil {
			return err
		}
		end, err := p.r.ReadSlice('\n')
		if err != nil {
			return unexpected(err)
		}
		if string(end) != "\r\n" {
			return errors.New("malformed end of a chunk")
		}
		if _, err := p.w.Write(end); err != nil {
			return &writeError{err}
		}
	}
}

// passTrailers relays the lines behind the last chunk, to the empty one.
func (p *h1pipe) passTrailers() error {
	trailers, err := p.readHead()
	if err == nil && p.strict {
		err = new(h1fields).parse(strings.Split(string(trailers), "\n"), true)
	}
	if err != nil {
		return err
	}
	if _, err := p.w.Write(trailers); err != nil {
		return &writeError{err}
	}
	return nil
}

// chunkSize returns the size that begins a chunk; its extensions mean nothing here.
func chunkSize(line []byte) (n int64, ok bool) {
	if !bytes.HasSuffix(line, []byte("\r\n")) {
		return 0, false
	}
	digits := line[:len(line)-2]
	if bytes.IndexByte(digits, '\r') >= 0 { // an end of the line for some
		return 0, false
	}
	if i := bytes.IndexByte(digits, ';'); i >= 0 {
		digits = digits[:i]
	}
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | int64(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// interrupted reports whether a read was interrupted so that a refusal can be written.
func (r *h1relay) interrupted(err error) bool {
	return netconn.IsTimeout(err) && r.refusal.Load() != nil
}
