package inspect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/capture/export"
	"github.com/sluice-go/sluice/capture/page"
)

// files are what is written besides the output.
type files struct {
	names    []string
	handlers []capture.Handler
	closers  []func() error
}

// An exporter makes a file of events.
type exporter interface {
	Handle(e capture.Event)
	Close() error // completes the file, which stays open
}

// checkOutputs finds a file that would be written over what is read, or over another output.
func (o *Options) checkOutputs() error {
	type named struct{ flag, name string }
	kept := []named{{"the key log", o.keyLogName()}}
	for _, name := range o.Files {
		kept = append(kept, named{"the capture", name})
	}
	for _, out := range []named{{"--html", o.HTML}, {"--har", o.HAR}, {"--perfetto", o.Perfetto}} {
		if out.name == "" {
			continue
		}
		for _, other := range kept {
			if sameFile(out.name, other.name) {
				return fmt.Errorf("%s %s would be written over %s", out.flag, out.name, other.flag)
			}
		}
		kept = append(kept, out)
	}
	return nil
}

// sameFile reports whether two names are those of one file, be it there or not yet.
func sameFile(a, b string) bool {
	if a != "" && filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && x.Mode().IsRegular() && os.SameFile(x, y)
}

// WritesFiles reports whether files are written besides the output.
func (o *Options) WritesFiles() bool { return o.HTML != "" || o.HAR != "" || o.Perfetto != "" }

// newFiles creates the files that o names.
func newFiles(o *Options) (*files, error) {
	if err := o.checkOutputs(); err != nil {
		return nil, err
	}
	f := &files{}
	for _, kind := range []struct {
		name string
		open func(w io.Writer) exporter
	}{
		{o.HTML, func(w io.Writer) exporter { return page.NewWriter(w, page.Options{Title: o.Files[0]}) }},
		{o.HAR, func(w io.Writer) exporter { return export.NewHAR(w, export.HAROptions{Title: o.Files[0]}) }},
		{o.Perfetto, func(w io.Writer) exporter { return export.NewPerfetto(w, export.PerfettoOptions{}) }},
	} {
		if kind.name == "" {
			continue
		}
		file, err := o.create(kind.name)
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		x := kind.open(file)
		f.names = append(f.names, kind.name)
		f.handlers = append(f.handlers, x.Handle)
		f.closers = append(f.closers, func() error { return errors.Join(x.Close(), file.Close()) })
	}
	return f, nil
}

// event is a capture.Handler.
func (f *files) event(e capture.Event) {
	for _, h := range f.handlers {
		h(e)
	}
}

// close completes the files.
func (f *files) close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// remove removes files that have a part of the capture, which nothing in them would say. It keeps
// what is no file, such as a pipe.
func (f *files) remove(said io.Writer) {
	for _, name := range f.names {
		if info, err := os.Lstat(name); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := os.Remove(name); err != nil {
			fmt.Fprintf(said, "sluice inspect: %s has a part of the capture alone, and stays: %v\n", name, err)
			continue
		}
		fmt.Fprintf(said, "sluice inspect: %s was removed: it had a part of the capture alone\n", name)
	}
}
