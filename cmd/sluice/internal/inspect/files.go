package inspect

import (
	"errors"
	"io"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/capture/export"
	"github.com/sluice-go/sluice/capture/page"
)

// files are what is written besides the output.
type files struct {
	handlers []capture.Handler
	closers  []func() error
}

// An exporter makes a file of events.
type exporter interface {
	Handle(e capture.Event)
	Close() error // completes the file, which stays open
}

// newFiles creates the files that o names.
func newFiles(o *Options) (*files, error) {
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
