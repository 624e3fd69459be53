package capture

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
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
)

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
	most := c.mostDecoded(o)
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
			out, m.Err = readMessage(out, body, o.grpcCoding, most)
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

// readMessage appends a message to out without its coding. No more than most octets are in out
// then.
func readMessage(out, body []byte, coding string, most int64) ([]byte, error) {
	if coding == "" || coding == "identity" {
		return out, errNoCoding
	}
	chain := decoderChain{most: most - int64(len(out))}
	defer chain.close()
	r, err := chain.undo(bytes.NewReader(body), coding)
	if err != nil {
		return out, err
	}
	out, err = readInto(out, r, most)
	switch {
	case errors.Is(err, errDecodedLimit):
		return out, fmt.Errorf("the messages become longer than %d octets: the rest is not decoded", most)
	case err != nil:
		return out, fmt.Errorf("the message is not valid %s: %w", coding, err)
	}
	return out, nil
}
