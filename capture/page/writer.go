package page

import (
	"bufio"
	"cmp"
	"errors"
	"io"

	"github.com/sluice-go/sluice/capture"
)

// Bounds of a page; see Options.
const (
	DefaultMaxFrames = 50_000
	DefaultMaxOthers = 20_000
	DefaultMaxOctets = 64 << 20
)

// Options say what a page has. The zero value is ready to use.
type Options struct {
	// Title names what is shown, such as the capture's file.
	Title string

	// MaxFrames bounds the frames, and header sections of HTTP/1.1, in the page; 0 is
	// DefaultMaxFrames. Requests above it are still drawn.
	MaxFrames int

	// MaxOthers bounds the events of each other kind in the page; 0 is DefaultMaxOthers.
	MaxOthers int

	// MaxOctets bounds the octets of all events in the page; 0 is DefaultMaxOctets.
	MaxOctets int64
}

func (o Options) withDefaults() Options {
	o.MaxFrames = cmp.Or(max(o.MaxFrames, 0), DefaultMaxFrames)
	o.MaxOthers = cmp.Or(max(o.MaxOthers, 0), DefaultMaxOthers)
	o.MaxOctets = cmp.Or(max(o.MaxOctets, 0), DefaultMaxOctets)
	return o
}

// A Writer writes a page with the events that it gets. One goroutine uses it at a time.
type Writer struct {
	o      Options
	w      *bufio.Writer
	e      encoder
	err    error
	began  bool
	octets int64
	counts map[string]*count
}

// A count says how many events of a kind have come, how many of them are in the page, and how many
// may be.
type count struct{ came, shown, bound int }

// NewWriter returns a Writer of a page. Nothing is written before the first event or Close.
func NewWriter(w io.Writer, o Options) *Writer {
	return &Writer{o: o.withDefaults(), w: bufio.NewWriter(w), counts: map[string]*count{}}
}

// Handle writes an event; it is a capture.Handler. Close returns the first error of writing.
func (w *Writer) Handle(ev capture.Event) {
	w.begin()
	c := w.count(ev.Kind())
	c.came++
	if w.err != nil || c.shown >= c.bound || w.octets >= w.o.MaxOctets {
		return
	}
	if !w.e.event(ev, w.framesCut()) {
		c.came--
		return
	}
	if n := int64(len(w.e.b)); w.octets+n <= w.o.MaxOctets {
		c.shown++
		w.octets += n
		w.e.b = append(w.e.b, '\n')
		w.flush()
	}
	w.e.b = w.e.b[:0]
}

// count is that of a kind of events.
func (w *Writer) count(kind string) *count {
	c := w.counts[kind]
	if c == nil {
		c = &count{bound: w.o.MaxOthers}
		if kind == "frame" || kind == "message" {
			c.bound = w.o.MaxFrames
		}
		w.counts[kind] = c
	}
	return c
}

// framesCut reports whether frames have come that are not in the page.
func (w *Writer) framesCut() bool {
	c := w.counts["frame"]
	return c != nil && c.came > c.shown
}

// begin writes what is in front of the events.
func (w *Writer) begin() {
	if w.began {
		return
	}
	w.began = true
	w.writeString(parts().head)
	w.writeString(`<script type="application/json" id="meta">`)
	w.e.meta(w.o, false)
	w.flush()
	// Each event is a line.
	w.writeString("</script>\n<script type=\"application/json\" id=\"events\">\n")
}

// flush writes what the encoder has.
func (w *Writer) flush() {
	if w.err == nil {
		_, w.err = w.w.Write(w.e.b)
	}
	w.e.b = w.e.b[:0]
}

func (w *Writer) writeString(s string) {
	if w.err == nil {
		_, w.err = w.w.WriteString(s)
	}
}

// Close ends the page. It returns the first error that writing it has met. The io.Writer stays
// open.
func (w *Writer) Close() error {
	w.begin()
	w.writeString("</script>\n<script type=\"application/json\" id=\"counts\">")
	w.e.counts(w.counts, w.e.base)
	w.flush()
	w.writeString("</script>\n")
	w.writeString(parts().foot)
	if err := w.w.Flush(); w.err == nil {
		w.err = err
	}
	err := w.err
	w.err = cmp.Or(w.err, errClosed)
	return err
}

var errClosed = errors.New("page: Writer is closed")
