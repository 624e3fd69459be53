package baseline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/frame"
)

// frames cuts what a connection reads into frames.
type frames struct {
	rest []byte       // the begin of a frame that is not complete
	data frame.Header // the header of a DATA frame, which is handled in parts
	skip int          // octets of its payload that have not come yet
}

// read reads once into buf, and calls handle for each complete frame.
func (f *frames) read(r io.Reader, buf []byte, handle func(frame.Header, []byte)) error {
	k := copy(buf, f.rest)
	n, err := r.Read(buf[k:])
	if n <= 0 {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	b := buf[:k+n]
	for {
		if f.skip > 0 {
			k := min(f.skip, len(b))
			b, f.skip = b[k:], f.skip-k
			if f.skip > 0 {
				break
			}
			handle(f.data, nil)
		}
		if len(b) < frame.HeaderLen {
			break
		}
		h := frame.ParseHeader(b)
		if h.Type == frame.TypeData && h.Length > 0 {
			f.data, f.skip, b = h, int(h.Length), b[frame.HeaderLen:]
			continue
		}
		end := frame.HeaderLen + int(h.Length)
		if len(b) < end {
			break
		}
		handle(h, b[frame.HeaderLen:end])
		b = b[end:]
	}
	f.rest = append(f.rest[:0], b...)
	return nil
}

// appendReply answers what must be answered whatever the role.
func appendReply(b []byte, h frame.Header, payload []byte) []byte {
	switch {
	case h.Flags.Has(frame.FlagAck):
	case h.Type == frame.TypeSettings:
		return frame.AppendSettingsAck(b)
	case h.Type == frame.TypePing && len(payload) == 8:
		return frame.Ping{Ack: true, Data: [8]byte(payload)}.Append(b)
	}
	return b
}

// A message is a request or a response that was made once and is sent on any stream.
type message struct {
	b   []byte
	ids []int // offsets of the stream's identifier
}

func (m *message) add(h frame.Header, payload []byte) {
	m.ids = append(m.ids, len(m.b)+frame.HeaderLen-4)
	h.Length = uint32(len(payload))
	m.b = append(h.Append(m.b), payload...)
}

// appendTo appends m on a stream.
func (m *message) appendTo(b []byte, id uint32) []byte {
	start := len(b)
	b = append(b, m.b...)
	for _, at := range m.ids {
		binary.BigEndian.PutUint32(b[start+at:], id)
	}
	return b
}

// newRequest makes a GET.
func newRequest(authority, path string) (m message) {
	m.add(frame.Header{Type: frame.TypeHeaders, Flags: frame.FlagEndHeaders | frame.FlagEndStream},
		block(":method", "GET", ":scheme", "http", ":path", path, ":authority", authority))
	return m
}

// newResponse makes a response with peerserver.Answer.
func newResponse() (m message) {
	m.add(frame.Header{Type: frame.TypeHeaders, Flags: frame.FlagEndHeaders},
		block(":status", "200", "content-length", strconv.Itoa(len(peerserver.Answer))))
	m.add(frame.Header{Type: frame.TypeData, Flags: frame.FlagEndStream}, []byte(peerserver.Answer))
	return m
}

// block encodes fields such that it means the same each time: without the table that changes.
func block(namesValues ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(namesValues); i += 2 {
		f := hpack.HeaderField{Name: namesValues[i], Value: namesValues[i+1]}
		switch f.Value {
		case "GET", "http", "/", "200": // in the table that does not
		default:
			f.Sensitive = true
		}
		_ = enc.WriteField(f) // to memory
	}
	return b.Bytes()
}
