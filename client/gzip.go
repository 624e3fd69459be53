package client

import (
	"compress/gzip"
	"io"
	"io/fs"
	"sync"
)

// gzipBody undoes the compression that we asked for.
type gzipBody struct {
	body *responseBody

	mu     sync.Mutex // a Read and Close
	zr     *gzip.Reader
	err    error
	closed bool
}

// gzipReaders are readers with their tables, which cost 40 KiB.
var gzipReaders sync.Pool

// Read makes the reader first: the header of the stream may not have arrived when RoundTrip
// returns.
func (g *gzipBody) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return 0, fs.ErrClosed
	}
	if g.err == nil && g.zr == nil {
		if zr, ok := gzipReaders.Get().(*gzip.Reader); ok {
			g.zr, g.err = zr, zr.Reset(g.body)
		} else {
			g.zr, g.err = gzip.NewReader(g.body)
		}
	}
	if g.err != nil {
		return 0, g.err
	}
	n, err := g.zr.Read(p)
	if err != nil {
		g.err = err
	}
	return n, err
}

// Close closes the body beneath first, which ends a Read that waits.
func (g *gzipBody) Close() error {
	err := g.body.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.zr != nil && !g.closed && (g.err == nil || g.err == io.EOF) { //nolint:errorlint // gzip returns this very value
		gzipReaders.Put(g.zr)
	}
	g.zr, g.closed = nil, true
	return err
}
