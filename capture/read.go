package capture

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sluice-go/sluice/capture/internal/hpackdec"
	"github.com/sluice-go/sluice/capture/internal/packet"
	"github.com/sluice-go/sluice/capture/internal/tcpstream"
	"github.com/sluice-go/sluice/capture/internal/tlsrecord"
	"github.com/sluice-go/sluice/capture/internal/wire"
)

// A FormatError says that a file is no packet capture.
type FormatError struct {
	// Like is what the file looks like, such as "a key log"; "" where that is unknown.
	Like string
	Err  error
}

func (e *FormatError) Error() string {
	if e.Like == "" {
		return e.Err.Error()
	}
	return "this is no packet capture: it looks like " + e.Like
}

func (e *FormatError) Unwrap() error { return e.Err }

// A TruncatedError says that a capture ends within a packet. All packets before that one have been
// read.
type TruncatedError struct {
	Packets uint64 // that are whole
	Err     error
}

func (e *TruncatedError) Error() string { return e.Err.Error() }

func (e *TruncatedError) Unwrap() error { return e.Err }

// Memory that is bounded for a capture as a whole, in octets.
const (
	maxTables = 12 << 20 // of HPACK tables
	maxTCP    = 6 << 20  // of segments that wait for others
)

// ReadFile reads a capture from a file. It is otherwise as [Read].
func ReadFile(name string, o Options, h Handler) (Summary, error) {
	f, err := os.Open(name) //nolint:gosec // the caller names it
	if err != nil {
		return Summary{}, err
	}
	defer f.Close()
	return Read(f, o, h)
}

// Read reads a capture, pcap or pcapng or one of them compressed with gzip, and calls the Handler
// with its events. Its memory does not grow with the capture.
//
// Where r is an io.Seeker, as a file is, the secrets in it are found before its packets are read.
// Elsewhere those of a connection have to come before its packets, or shortly behind them.
//
// The error is a *FormatError where r has no packet capture, a *TruncatedError where it ends within
// a packet, or that of r. The Summary counts what was read up to then, all of which was delivered.
func Read(r io.Reader, o Options, h Handler) (Summary, error) {
	rd := newReading(o, h)
	err := rd.run(r)
	return rd.sum, err
}

// A reading is one call of Read.
type reading struct {
	a       *analyzer
	handler Handler
	keys    tlsrecord.Keys
	used    map[string]struct{} // client randoms of connections that have keys
	packets *packet.Reader
	started bool   // a segment was read
	evicted uint64 // connections that had to make room for others
	sum     Summary
}

func newReading(o Options, h Handler) *reading {
	rd := &reading{handler: h}
	rd.keys.Add(o.KeyLog)
	rd.a = &analyzer{
		opts: o, handler: rd.event, keys: &rd.keys, twins: newTwins(), tables: hpackdec.NewBudget(maxTables),
	}
	return rd
}

// run reads a capture.
func (rd *reading) run(r io.Reader) error {
	found, err := rd.findSecrets(r)
	if err != nil {
		return err
	}
	if !found {
		rd.a.holdBack = tlsrecord.DefaultHoldBack
	}
	err = rd.read(r)
	rd.finish()
	return err
}

// event counts an event and hands it on.
func (rd *reading) event(e Event) {
	rd.sum.count(e)
	if c, ok := e.(*Connection); ok && c.TLS != nil && !c.TLS.Encrypted && len(c.TLS.ClientRandom) > 0 {
		rd.use(c.TLS.ClientRandom)
	}
	rd.handler(e)
}

// maxUsed is how many client randoms are told apart.
const maxUsed = 1 << 16

// use counts a key that was used.
func (rd *reading) use(random []byte) {
	if rd.used == nil {
		rd.used = make(map[string]struct{})
	}
	if len(rd.used) < maxUsed {
		rd.used[string(random)] = struct{}{}
	}
}

// findSecrets reads the secrets of a capture, and goes back to where it begins. It reports whether
// it could.
func (rd *reading) findSecrets(r io.Reader) (bool, error) {
	s, ok := r.(io.Seeker)
	if !ok {
		return false, nil
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return false, nil // a pipe
	}
	scanSecrets(r, func(log []byte) { rd.keys.Add(log) })
	if _, err := s.Seek(at, io.SeekStart); err != nil {
		return false, fmt.Errorf("cannot read the capture twice: %w", err)
	}
	return true, nil
}

// read reads the packets.
func (rd *reading) read(r io.Reader) error {
	start := &startReader{r: r}
	p, err := packet.NewReader(start, packet.Options{Secrets: func(log []byte) { rd.keys.Add(log) }})
	if err != nil {
		return formatError(start, err)
	}
	rd.packets = p
	tcp := tcpstream.New(rd.open, tcpstream.Options{
		MaxConns: cmp.Or(max(rd.a.opts.MaxConnections, 0), DefaultMaxReadConnections), MaxBuffered: maxTCP,
	})
	defer func() {
		tcp.Close()
		rd.evicted = tcp.Evicted()
	}()
	for {
		seg, err := p.Next()
		var cut *packet.TruncatedError
		switch {
		case err == nil:
			rd.start(seg.Time)
			rd.moreKeys()
			tcp.Add(seg)
		case err == io.EOF: //nolint:errorlint // an error of a lost source may wrap it
			rd.moreKeys()
			return nil
		case errors.As(err, &cut):
			return &TruncatedError{Packets: cut.Packets, Err: err}
		default:
			return err
		}
	}
}

// start says when the capture begins.
func (rd *reading) start(t time.Time) {
	if !rd.started && rd.a.opts.Start != nil {
		rd.a.opts.Start(t)
	}
	rd.started = true
}

// moreKeys takes what the key log has got.
func (rd *reading) moreKeys() {
	if rd.a.opts.MoreKeys == nil {
		return
	}
	if lines := rd.a.opts.MoreKeys(); len(lines) > 0 {
		rd.keys.Add(lines)
	}
}

// open begins a connection.
func (rd *reading) open(c *tcpstream.Conn) wire.Sink {
	s := rd.a.open(c.Client, c.Server, c.Start)
	s.info.StartMissing, s.noSYN, s.info.Connected = !c.SYN, !c.SYN, c.Connected
	return s
}

// finish completes the Summary.
func (rd *reading) finish() {
	s := &rd.sum
	s.Keys, s.KeysUsed = rd.keys.Connections(), len(rd.used)
	if rd.packets == nil {
		return
	}
	p := rd.packets.Stats()
	s.Packets = Packets{
		Total: p.Packets, TCP: p.Segments, NotIP: p.NotIP, NotTCP: p.NotTCP, Fragments: p.Fragments,
		Malformed: p.Malformed, Unknown: p.Unknown,
		Cut: p.Cut, Incomplete: p.Incomplete, BadBlocks: p.BadBlocks,
	}
	s.explain()
	if s.Evicted = rd.evicted; rd.evicted > 0 {
		s.problem(countOf(rd.evicted, "connection") + " no longer followed, since too many were open at once")
	}
}

// A startReader remembers how a file begins.
type startReader struct {
	r     io.Reader
	start []byte
}

// Read implements io.Reader.
func (s *startReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if room := maxStart - len(s.start); room > 0 {
		s.start = append(s.start, p[:min(n, room)]...)
	}
	return n, err
}

// maxStart is how much of a file is looked at to say what it looks like.
const maxStart = 512

// formatError says what a file that is no capture looks like.
func formatError(r *startReader, err error) error {
	return &FormatError{Like: looksLike(r.start), Err: err}
}

// looksLike says what a file looks like that begins with p.
func looksLike(p []byte) string {
	for _, k := range []struct{ has, is string }{
		{"CLIENT_RANDOM ", "a key log"},
		{"_TRAFFIC_SECRET", "a key log"},
		{"SSL/TLS secrets log", "a key log"},
	} {
		if bytes.Contains(p, []byte(k.has)) {
			return k.is + ", which is given beside the capture"
		}
	}
	for _, k := range []struct{ begin, is string }{
		{"{", "JSON"},
		{"[", "JSON"},
		{"<", "HTML or XML"},
		{"PK\x03\x04", "a zip archive"},
		{"\x28\xb5\x2f\xfd", "a file compressed with zstd"},
		{"\xfd7zXZ\x00", "a file compressed with xz"},
		{"BZh", "a file compressed with bzip2"},
		{"snoop\x00\x00\x00", "a capture of snoop, which editcap -F pcap converts"},
		{"-----BEGIN ", "a certificate or key in PEM"},
	} {
		if bytes.HasPrefix(bytes.TrimLeft(p, " \r\n\t\ufeff"), []byte(k.begin)) {
			return k.is
		}
	}
	return ""
}
