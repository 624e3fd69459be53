package inspect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strings"

	"github.com/sluice-go/sluice/capture"
)

// memoryLimit is where the collector of garbage begins to work harder, in octets: what is alive is
// bounded far below it, but on a busy machine the collector may come late.
const memoryLimit = 48 << 20

// Connections that are followed at the same time within memoryLimit, and what another one takes in
// octets.
const (
	usualConns = 1024
	connMemory = 20 << 10
)

// Run runs the command. Its error is a *StatusError where the exit status is not 1.
func Run(ctx context.Context, o Options) error {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 { // GOMEMLIMIT is not set
		debug.SetMemoryLimit(memoryLimit + connMemory*max(0, int64(o.MaxConns)-usualConns))
	}
	if err := o.check(); err != nil {
		return &StatusError{statusUnreadable, err.Error()}
	}
	keys, err := o.openKeyLog()
	if err != nil {
		return unreadable("key log: %v", err)
	}
	defer keys.close()
	r := &reading{Options: &o, ctx: ctx, keys: keys, summary: newSummary()}
	if r.keyLog, err = keys.all(); err != nil {
		return unreadable("key log: %v", err)
	}
	if o.Diff {
		return r.diff()
	}
	return r.show()
}

// A reading is one run of the command.
type reading struct {
	*Options
	ctx     context.Context
	keys    *keyLog
	keyLog  []byte // what it had at first
	summary *summary
	out     *output
}

// options are those for package capture.
func (r *reading) options() capture.Options {
	return capture.Options{
		KeyLog: r.keyLog, MoreKeys: r.keys.more, ShowSecrets: r.ShowSecrets, Bodies: r.Bodies, MinStall: r.MinStall,
		Start: r.out.start, MaxConnections: r.MaxConns,
	}
}

// read reads a capture to its end. An end of the output ends it, too, unless files are written.
func (r *reading) read(name string, handle capture.Handler) error {
	ctx, cancel := context.WithCancelCause(r.ctx)
	defer cancel(nil)
	in, closeFile, err := r.open(ctx, name)
	if err != nil {
		return err
	}
	defer closeFile()
	sum, err := capture.Read(in, r.options(), func(e capture.Event) {
		handle(e)
		if r.out.err != nil && !r.WritesFiles() {
			cancel(r.out.err)
		}
	})
	r.summary.read = sum
	return err
}

func (r *reading) flush() {
	if r.out != nil {
		r.out.flush()
	}
}

// show shows a capture.
func (r *reading) show() error {
	var err error
	if r.out, err = newOutput(r.Options); err != nil {
		return &StatusError{statusUnreadable, err.Error()}
	}
	f, err := newFilter(r.Options)
	if err != nil {
		return &StatusError{statusUnreadable, err.Error()}
	}
	if r.Errors {
		f.chosen = &chosen{streams: map[conn]bool{}}
		if err := r.read(r.Files[0], f.chosen.event); err != nil {
			return r.failed(r.Files[0], err)
		}
	}
	files, err := newFiles(r.Options)
	if err != nil {
		return unreadable("%v", err)
	}
	wanted := f.to(r.out.shown, func(e capture.Event) {
		files.event(e)
		if r.out.all != nil {
			r.out.all(e)
		}
	})
	readErr := r.read(r.Files[0], func(e capture.Event) {
		r.summary.event(e)
		wanted(e)
	})
	if err := files.close(); err != nil {
		return unreadable("%v", err)
	}
	if errors.Is(readErr, context.Canceled) {
		files.remove(r.Err)
	}
	if !f.passed && r.summary.frames > 0 {
		fmt.Fprintln(r.Err, "sluice inspect: nothing of the capture is what the flags choose")
	}
	return r.finish(readErr)
}

// finish writes the summary, and says how it went.
func (r *reading) finish(readErr error) error {
	switch {
	case r.out.closed():
		return nil
	case r.out.err != nil:
		return unreadable("%v", r.out.err)
	case readErr != nil && r.summary.read.Packets.Total == 0:
		return r.failed(r.Files[0], readErr)
	case r.JSON || r.As != "": // which programs read
		r.summary.writeMissing(r.Err, palette{})
	default:
		r.summary.write(r.out.w, newPalette(r.out.colors))
	}
	r.flush()
	if r.Follow && r.ctx.Err() != nil { // it ends in the midst of a packet that is written
		readErr = nil
	}
	switch {
	case r.out.closed():
		return nil
	case r.out.err != nil:
		return unreadable("%v", r.out.err)
	case readErr != nil:
		return r.failed(r.Files[0], readErr)
	case r.summary.unread():
		r.advise()
		return &StatusError{Code: statusUnreadable}
	case r.summary.failures() > 0:
		return &StatusError{Code: statusFindings}
	}
	return nil
}

// unread returns an error where nothing of the capture that was read last could be: what was not
// looked at is not the same in two captures.
func (r *reading) unread(name string) error {
	if s := &r.summary.read; s.HTTP2+s.HTTP1 > 0 || !r.summary.unread() {
		return nil
	}
	r.advise()
	return unreadable("%s: there is no HTTP that could be read: %s", name, strings.Join(r.summary.read.Problems, "; "))
}

// advise says where keys come from, if there are none at all.
func (r *reading) advise() {
	if s := &r.summary.read; s.Encrypted > 0 && s.Keys == 0 {
		fmt.Fprintln(r.Err, "sluice inspect:", r.keys.advice())
	}
}

// failed is the error of a capture that could not be read, or not to its end.
func (r *reading) failed(name string, err error) error {
	if errors.Is(err, context.Canceled) {
		return unreadable("%s: stopped before its end", name)
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return unreadable("%v", err)
	}
	return unreadable("%s: %v", name, err)
}

// diff compares two captures, or the legs of one.
func (r *reading) diff() error {
	var err error
	if r.out, err = newOutput(r.Options); err != nil {
		return &StatusError{statusUnreadable, err.Error()}
	}
	f, err := newFilter(r.Options)
	if err != nil {
		return &StatusError{statusUnreadable, err.Error()}
	}
	c := &comparison{x: newText(r.out.w, r.out.colors)}
	if len(r.Files) == 2 {
		for i, side := range []*exchanges{&c.a, &c.b} {
			if err := r.read(r.Files[i], f.to(nil, side.event)); err != nil {
				return r.failed(r.Files[i], err)
			}
			if err := r.unread(r.Files[i]); err != nil {
				return err
			}
		}
		if len(c.a.list)+len(c.b.list) == 0 {
			return unreadable("there are no requests to compare in %s and %s", r.Files[0], r.Files[1])
		}
	} else if err := r.legs(c, f); err != nil {
		return err
	}
	c.run()
	r.flush()
	switch {
	case r.out.err != nil && !r.out.closed():
		return unreadable("%v", r.out.err)
	case c.different > 0:
		return &StatusError{Code: statusFindings}
	}
	return nil
}

// legs takes the requests of both legs from one capture: the connections that --conn names, or
// those that the capture says are twins.
func (r *reading) legs(c *comparison, f *filter) error {
	switch len(f.conns) {
	case 0, 2:
	default:
		return unreadable("--diff of one file compares two connections: --conn 3,4")
	}
	twins := &twins{c: c}
	if len(f.conns) == 2 {
		twins.side = map[uint64]*exchanges{f.conns[0]: &c.a, f.conns[1]: &c.b}
	}
	if err := r.read(r.Files[0], f.to(nil, twins.event)); err != nil {
		return r.failed(r.Files[0], err)
	}
	if len(c.a.list)+len(c.b.list) == 0 && r.Files[0] != "-" {
		if twins.side = twins.found(); twins.side != nil {
			if err := r.read(r.Files[0], f.to(nil, twins.event)); err != nil {
				return r.failed(r.Files[0], err)
			}
		}
	}
	if len(c.a.list)+len(c.b.list) == 0 {
		return unreadable(
			"%s has no two legs of a proxy that belong together: name two connections with --conn", r.Files[0],
		)
	}
	return nil
}

// create creates a file; one with secrets is for its owner alone, which is said.
func (o *Options) create(name string) (*os.File, error) {
	mode := os.FileMode(0o644)
	if o.ShowSecrets {
		mode = 0o600
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode) //nolint:gosec // the user names it
	if err != nil {
		return nil, err
	}
	if o.ShowSecrets { // it may have been there before
		if err := f.Chmod(mode); err != nil {
			f.Close()
			return nil, err
		}
		fmt.Fprintf(o.Err, "sluice inspect: %s has secrets: only its owner may read it (mode 0600)\n", name)
	}
	return f, nil
}
