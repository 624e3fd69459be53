package inspect

import (
	"bufio"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// outputBuffer is the size of the buffer of the output.
const outputBuffer = 64 << 10

// An output writes the events that are wanted in the form that was chosen.
type output struct {
	w      *bufio.Writer
	err    error           // of writing
	shown  capture.Handler // gets the events that are shown
	all    capture.Handler // gets the events of other types, too; nil is none
	start  func(time.Time) // sets the time from which others count; nil is none
	colors bool
}

// newOutput returns the output that o has chosen.
func newOutput(o *Options) (*output, error) {
	on, err := colored(o.Color, o.Out, o.Getenv)
	if err != nil {
		return nil, err
	}
	out := &output{colors: on && !o.JSON}
	out.w = bufio.NewWriterSize(out.noting(o.Out), outputBuffer)
	switch {
	case o.JSON:
		out.json(o.Bodies)
	case o.Requests:
		t := newTable(out.w, on)
		out.shown, out.start = t.event, t.x.begin
	case o.As == "http1":
		out.all = newHTTP1(out.w, o.Bodies).event
	default:
		x := newText(out.w, on)
		out.shown, out.start = x.event, x.begin
		if o.Bodies {
			out.all = (&capture.ContentDecoder{Handler: x.content}).Event
		}
	}
	return out, nil
}

// json has the output be lines of JSON. Content is written without its codings.
func (out *output) json(bodies bool) {
	var line []byte
	out.shown = func(e capture.Event) {
		if e.Kind() != "body" {
			line = append(capture.AppendJSON(line[:0], e), '\n')
			_, _ = out.w.Write(line) // noting keeps the error
		}
	}
	if bodies {
		decoder := &capture.ContentDecoder{Handler: func(c *capture.Content) {
			_ = c.WriteJSON(out.w)
			_ = out.w.WriteByte('\n')
		}}
		out.all = decoder.Event
	}
}

// A notingWriter keeps the first error of a Writer.
type notingWriter struct {
	w   io.Writer
	err *error
}

func (out *output) noting(w io.Writer) io.Writer { return &notingWriter{w, &out.err} }

func (n *notingWriter) Write(p []byte) (int, error) {
	if *n.err != nil {
		return 0, *n.err
	}
	k, err := n.w.Write(p)
	*n.err = err
	return k, err
}

// flush shows what has been written.
func (out *output) flush() { _ = out.w.Flush() } // noting keeps the error

// closed reports whether the reader of the output has gone, as a pager does.
func (out *output) closed() bool {
	return errors.Is(out.err, syscall.EPIPE) || errors.Is(out.err, io.ErrClosedPipe)
}
