package capture

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A GRPCMessage is a message in the content of a call of gRPC.
type GRPCMessage struct {
	Compressed bool   // with the grpc-encoding of the call
	Sent       int64  // octets as they were sent, without the prefix
	Octets     []byte // without the coding, up to what Err is about
	Err        error  // why there is not more; nil where all of the message is there
}

// Errors of messages.
var (
	errManyMessages = fmt.Errorf("only the first %d messages are shown apart", maxMessageSizes)
	errNoCoding     = errors.New("it is compressed, but no grpc-encoding says how")
	errManyWindows  = fmt.Errorf("the messages need windows of more than %d octets: the rest is not decoded",
		maxMessageWindows)
)

// maxMessageWindows bounds the windows of br and zstd, in octets, that are taken for the messages
// of a content, one after another: one of 14 octets may have 16 MiB, and give nothing.
const maxMessageWindows = 1 << 30

// grpcKind returns what follows "application/grpc" in a content-type, and reports whether that is
// one of gRPC.
func grpcKind(contentType string) (string, bool) {
	kind, ok := strings.CutPrefix(strings.ToLower(contentType), "application/grpc")
	return kind, ok && (kind == "" || strings.ContainsRune("+-; ", rune(kind[0])))
}

// messages returns the messages in a content of gRPC. What is decoded is bounded for all of them
// together.
func (c *ContentDecoder) messages(o *openContent) (list []GRPCMessage, err error) {
	kind, ok := grpcKind(o.kind)
	if !ok || len(o.codings) > 0 || strings.HasPrefix(kind, "-web-text") { // that is base64
		return nil, nil
	}
	cut := cmp.Or(o.err, errContentCut)
	decoder := messageDecoder{coding: o.grpcCoding, most: c.mostDecoded(o)}
	out, ends := c.decoded[:0], []int(nil) // of the messages in out, -1 where one is not compressed
	for p := o.octets; len(p) > 0; {
		if len(list) == maxMessageSizes {
			err = errManyMessages
			break
		}
		const prefix = 5
		if len(p) < prefix {
			list, ends = append(list, GRPCMessage{Err: cut}), append(ends, -1)
			break
		}
		flags, n := p[0], int64(binary.BigEndian.Uint32(p[1:]))
		p = p[prefix:]
		body := p[:min(n, int64(len(p)))]
		p = p[len(body):]
		if strings.HasPrefix(kind, "-web") && flags&grpcTrailers != 0 {
			continue
		}
		m, end := GRPCMessage{Compressed: flags&grpcCompressed != 0, Sent: int64(len(body)), Octets: body}, -1
		if m.Compressed {
			out, m.Err = decoder.read(out, body)
			end = len(out)
		}
		if int64(len(body)) < n {
			m.Err = cut
		}
		list, ends = append(list, m), append(ends, end)
	}
	from := 0
	for i, end := range ends { // out does not move any more
		if end >= 0 {
			list[i].Octets = out[from:end]
			from = end
		}
	}
	c.decoded = out
	return list, err
}

// A messageDecoder undoes the coding of the messages in a content.
type messageDecoder struct {
	coding  string
	most    int64 // octets that all messages may become
	windows int   // octets of the windows that were taken
}

// read appends a message to out without its coding.
func (d *messageDecoder) read(out, body []byte) ([]byte, error) {
	if d.coding == "" || d.coding == "identity" {
		return out, errNoCoding
	}
	longer := fmt.Errorf("the messages become longer than %d octets: the rest is not decoded", d.most)
	if int64(len(out)) >= d.most && len(body) > 0 {
		return out, longer
	}
	window := windowOf(d.coding, body)
	if window > maxMessageWindows-d.windows {
		return out, errManyWindows
	}
	d.windows += window
	chain := decoderChain{most: d.most - int64(len(out))}
	defer chain.close()
	r, err := chain.undo(bytes.NewReader(body), d.coding)
	if err != nil {
		return out, err
	}
	out, err = readInto(out, r, d.most)
	switch {
	case errors.Is(err, errDecodedLimit):
		return out, longer
	case err != nil:
		return out, fmt.Errorf("the message is not valid %s: %w", d.coding, err)
	}
	return out, nil
}

// windowOf is how many octets of window a decoder may need for p.
func windowOf(coding string, p []byte) int {
	switch coding {
	case "br":
		return brotliWindow
	case "zstd":
		var h zstd.Header
		if h.Decode(p) == nil && !h.SingleSegment {
			return int(min(h.WindowSize, maxZstdWindow))
		}
		return int(min(h.FrameContentSize, maxZstdWindow))
	}
	return 0
}
