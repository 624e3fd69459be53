package client

import (
	"compress/gzip"
	"io"
	"io/fs"
	"sync"
)

// gzipBody decompresses a body for which the exchange has asked to be compressed.
type gzipBody struct {
	body *responseBody

	mu     sync.Mutex // held during a Read; guards all below
	zr     *gzip.Reader
	err    error
	closed bool
}

// gzipReaders are decompressors with their tables, which take 40 KiB.
var gzipReaders sync.Pool

// Read makes the decompressor when it is called first: the header of the gzip stream may not have
// arrived when RoundTrip returns.
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

// Close closes the body below first, which ends a Read that waits.
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
