package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// An output is a list of JSON values in a file, and keeps the first error of writing it.
type output struct {
	w     *bufio.Writer
	err   error
	began bool
	items int
	base  time.Time // what times are relative to
}

var errClosed = errors.New("export: the writer is closed")

func newOutput(w io.Writer) output { return output{w: bufio.NewWriter(w)} }

func (o *output) text(s string) {
	if o.err == nil {
		_, o.err = o.w.WriteString(s)
	}
}

// value writes v as JSON.
func (o *output) value(v any) {
	if o.err != nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		o.err = err
		return
	}
	_, o.err = o.w.Write(b)
}

// item writes v as the next one of the list.
func (o *output) item(v any) {
	if o.items > 0 {
		o.text(",\n")
	}
	o.items++
	o.value(v)
}

// close writes the end, and returns the first error.
func (o *output) close(end string) error {
	o.text(end)
	if err := o.w.Flush(); o.err == nil {
		o.err = err
	}
	err := o.err
	if err == nil {
		o.err = errClosed
	}
	return err
}

// millis is a duration in milliseconds with the digits of microseconds.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// since is a time in milliseconds behind the base.
func (o *output) since(t time.Time) float64 { return millis(t.Sub(o.base)) }

// first is the first of some times that is set.
func first(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// after is b-a, or 0 where b is before a or one of them is not set.
func after(a, b time.Time) time.Duration {
	if a.IsZero() || b.IsZero() || b.Before(a) {
		return 0
	}
	return b.Sub(a)
}
