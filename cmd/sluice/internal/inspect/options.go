package inspect

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Options are the flags of "sluice inspect".
type Options struct {
	Files  []string  // one, or two with Diff; "-" is In
	In     io.Reader // the standard input
	Out    io.Writer
	Err    io.Writer
	Getenv func(string) string

	KeyLog      string // file; "" is that of SSLKEYLOGFILE, if it is set
	ShowSecrets bool
	Follow      bool
	MinStall    time.Duration
	MaxConns    int    // connections that are followed at the same time; 0 is the default of package capture
	Color       string // ColorAuto, ColorAlways or ColorNever

	// The output; at most one of these is set. None is text.
	JSON, Requests, Diff bool
	As                   string // "http1" or ""

	Bodies bool

	// Files to be written besides.
	HTML, HAR, Perfetto string

	// Filters; empty ones let everything through.
	Conns, Streams, Types []string
	Host                  string
	Errors                bool
}

// A StatusError is an error with the exit status of the command. Its text is empty where all has
// been said.
type StatusError struct {
	Code int
	Text string
}

func (e *StatusError) Error() string { return e.Text }

// ExitStatus is the exit status of the command.
func (e *StatusError) ExitStatus() int { return e.Code }

// The exit statuses besides 0.
const (
	statusFindings   = 1 // there are errors or warnings
	statusUnreadable = 2 // the capture could not be read, or not all of it
)

// unreadable is an error that ends the command.
func unreadable(format string, args ...any) error {
	return &StatusError{statusUnreadable, fmt.Sprintf(format, args...)}
}

// check finds flags that do not fit together.
func (o *Options) check() error {
	outputs := 0
	for _, is := range []bool{o.JSON, o.Requests, o.Diff, o.As != ""} {
		if is {
			outputs++
		}
	}
	switch {
	case o.MaxConns < 0:
		return errors.New("--max-connections must be at least 1")
	case outputs > 1:
		return errors.New("--json, --requests, --diff and --as are different outputs: choose one")
	case o.As != "" && o.As != "http1":
		return fmt.Errorf("--as %s: want http1", o.As)
	case o.Follow && (o.Diff || o.Errors):
		return errors.New("--diff and --errors need the end of the capture, which --follow has none of")
	case o.Follow && o.Files[0] == "-":
		return errors.New("--follow is for files: the standard input is read as it comes")
	case len(o.Files) == 2 && !o.Diff:
		return errors.New("two files are for --diff")
	case o.Errors && o.Files[0] == "-":
		return errors.New("--errors reads the capture twice, which the standard input cannot be")
	case o.Diff && o.WritesFiles():
		return errors.New("--diff writes no other files")
	}
	return nil
}
