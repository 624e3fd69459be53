package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// followInterval is how often a file that is followed is looked at.
const followInterval = 200 * time.Millisecond

// An input is a capture that is read. Before it waits for more, what there is so far is shown.
//
// The end of ctx ends a file. It does not end a pipe: the interrupt that has ended ctx ends the
// program at its other side, too, which may have something left to say.
type input struct {
	ctx    context.Context
	r      io.Reader
	file   bool
	follow bool
	flush  func() // nil of a file that does not grow
	look   func() // for keys; called behind each read of what may grow
}

// Read reads; with follow, the end of a file is not the end of the capture before ctx ends.
func (in *input) Read(p []byte) (int, error) {
	if err := context.Cause(in.ctx); err != nil && in.file && !in.follow {
		return 0, err
	}
	if in.flush != nil {
		in.flush()
	}
	for {
		n, err := in.r.Read(p)
		if in.flush != nil {
			in.look()
		}
		if n > 0 || !in.follow || !errors.Is(err, io.EOF) {
			return n, err
		}
		select {
		case <-in.ctx.Done():
			return 0, io.EOF
		case <-time.After(followInterval):
		}
	}
}

// Seek lets a file be read twice, which finds the secrets that stand behind the packets that need
// them. A pipe, and a file that grows, cannot be.
func (in *input) Seek(offset int64, whence int) (int64, error) {
	s, ok := in.r.(io.Seeker)
	if !ok || !in.file || in.follow {
		return 0, errors.ErrUnsupported
	}
	return s.Seek(offset, whence)
}

// open opens a capture.
func (r *reading) open(ctx context.Context, name string) (*input, func(), error) {
	if name == "-" {
		return &input{ctx: ctx, r: r.In, flush: r.flush, look: r.keys.look}, func() {}, nil
	}
	f, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", name)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	in := &input{ctx: ctx, r: f, file: info.Mode().IsRegular(), follow: r.Follow, look: r.keys.look}
	if r.Follow || !in.file {
		in.flush = r.flush
	}
	return in, func() { f.Close() }, nil
}
