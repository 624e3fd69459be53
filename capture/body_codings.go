package capture

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// Limits of what is undone.
const (
	maxCodings    = 8        // in a row
	maxZstdWindow = 8 << 20  // octets (RFC 9659 §3)
	brotliWindow  = 16 << 20 // octets, the most that there is (RFC 7932 §9.1)
	maxWindows    = 24 << 20 // octets of all codings in a row: one br and one zstd, or three zstd
)

// codingsOf returns the content codings and behind them the transfer codings of a message, in the
// order in which they were applied, in lower case.
func codingsOf(fields []Field) []string {
	var list []string
	for _, name := range [...]string{"content-encoding", "transfer-encoding"} {
		for _, coding := range items(fields, name) {
			coding = strings.ToLower(coding[:min(len(coding), maxHeadOctets)])
			if coding != "identity" && coding != "chunked" && len(list) <= maxCodings {
				list = append(list, strings.Clone(coding))
			}
		}
	}
	return list
}

// mostDecoded is how many octets a content may become.
func (c *ContentDecoder) mostDecoded(o *openContent) int64 {
	most := max(ratioFloor, int64(len(o.octets))*orDefault(c.MaxRatio, DefaultMaxRatio))
	return min(most, orDefault(c.MaxDecoded, DefaultMaxDecoded))
}

// decode undoes the codings of a content, and returns the octets, the codings that were undone, and
// why there are not more.
func (c *ContentDecoder) decode(o *openContent) (p []byte, undone []string, err error) {
	if len(o.codings) == 0 || len(o.octets) == 0 {
		return o.octets, nil, o.err
	}
	if len(o.codings) > maxCodings {
		return o.octets, nil, fmt.Errorf("the content has more than %d codings", maxCodings)
	}
	most := c.mostDecoded(o)
	chain := decoderChain{most: most}
	defer chain.close()
	var r io.Reader = bytes.NewReader(o.octets)
	for i := len(o.codings) - 1; i >= 0; i-- {
		next, err := chain.undo(r, o.codings[i])
		if err != nil {
			if i == len(o.codings)-1 {
				return o.octets, nil, err
			}
			undone, o.err = o.codings[i+1:], err // what is within is shown as it is
			break
		}
		r, undone = next, o.codings[i:]
	}
	c.decoded, err = readInto(c.decoded[:0], r, most)
	switch {
	case errors.Is(err, errDecodedLimit):
		err = fmt.Errorf("the content becomes longer than %d octets: the rest is not decoded", most)
	case o.err != nil: // a decoder that stops early was told too little
		err = o.err
	case err != nil:
		err = fmt.Errorf("the content is not valid %s: %w", strings.Join(o.codings, ", "), err)
		if len(c.decoded) == 0 {
			return o.octets, nil, err
		}
	}
	return c.decoded, undone, err
}

// readInto appends to b what r gives up to its end, at most so many octets. It is io.ReadAll
// without memory for more than that.
func readInto(b []byte, r io.Reader, most int64) ([]byte, error) {
	const first = 64 << 10
	for {
		if len(b) == cap(b) {
			size := max(first, min(2*int64(len(b)), most+1))
			b = append(make([]byte, 0, size), b...)
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// errDecodedLimit ends what a decoder gives.
var errDecodedLimit = errors.New("limit")

// A decoderChain undoes codings, each of which may give as many octets.
type decoderChain struct {
	most    int64
	windows int // octets that the decoders may keep
	zstds   []*zstd.Decoder
}

func (c *decoderChain) close() {
	for _, d := range c.zstds {
		d.Close()
	}
}

// undo returns what undoes a coding.
func (c *decoderChain) undo(coded io.Reader, coding string) (io.Reader, error) {
	var r io.Reader
	switch coding {
	case "gzip", "x-gzip":
		r = &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(coded) }}
	case "deflate":
		r = &lazyReader{open: deflateReader(coded)}
	case "br":
		if err := c.reserve(brotliWindow); err != nil {
			return nil, err
		}
		r = brotli.NewReader(coded)
	case "zstd":
		if err := c.reserve(maxZstdWindow); err != nil {
			return nil, err
		}
		d, err := zstd.NewReader(coded, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow),
			zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		c.zstds = append(c.zstds, d)
		r = d
	default:
		return nil, fmt.Errorf("the coding %q is not known", coding)
	}
	return &limitedReader{r, c.most}, nil
}

// reserve counts the window of a decoder.
func (c *decoderChain) reserve(octets int) error {
	if c.windows += octets; c.windows > maxWindows {
		return fmt.Errorf("its codings need windows of more than %d octets: what is within is not decoded", maxWindows)
	}
	return nil
}

// deflateReader opens the coding "deflate", which is zlib (RFC 9110 §8.4.1.2), but which some send
// without its header.
func deflateReader(r io.Reader) func() (io.Reader, error) {
	return func() (io.Reader, error) {
		b := bufio.NewReader(r)
		head, err := b.Peek(2)
		if err == nil && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			return zlib.NewReader(b)
		}
		return flate.NewReader(b), nil
	}
}

// A lazyReader is opened by its first Read, so that all errors come from Read.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
	err  error
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil && l.err == nil {
		l.r, l.err = l.open()
	}
	if l.err != nil {
		return 0, l.err
	}
	return l.r.Read(p)
}

// A limitedReader gives at most left octets, and then an error.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 { // one more, to tell the end from the limit
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		n, err = int(l.left), errDecodedLimit
	}
	l.left -= int64(n)
	return n, err
}
