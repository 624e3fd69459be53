package capture

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Limits of what is kept of a call of gRPC.
const (
	maxMessageSizes = 1000 // by direction
	maxWebTrailers  = 8 << 10
)

// A grpcReader finds the messages in the content of one direction: each has a prefix of five
// octets, flags and length.
type grpcReader struct {
	prefix  [5]byte
	n       int    // octets of prefix
	left    uint32 // octets of the message that are still to come
	off     bool   // octets were lost so that the next prefix cannot be found
	web     bool   // the message has the trailers of gRPC-Web
	content []byte // of the message, up to now
}

// Flags of a prefix.
const (
	grpcCompressed = 0x01
	grpcTrailers   = 0x80 // gRPC-Web
)

// findGRPC begins to follow a call, where content-type says that it is one.
func (x *exchange) findGRPC(d Dir, fields []Field) {
	t := fieldValue(fields, "content-type")
	kind, ok := grpcKind(t)
	if !ok {
		// A proxy on the way may answer a call with a page of its own, which has no messages.
		x.grpc[d].off = x.grpc[d].off || t != ""
		return
	}
	if x.GRPC == nil {
		x.GRPC = &GRPC{Method: x.Path, Status: -1, Web: strings.HasPrefix(kind, "-web")}
		// A direction whose beginning has passed has no known place of a prefix.
		x.grpc[d.Other()].off = x.Body[d.Other()] > 0
	}
	x.GRPC.Encoding[d] = fieldValue(fields, "grpc-encoding")
	if strings.HasPrefix(kind, "-web-text") {
		x.grpc[Client].off, x.grpc[Server].off = true, true // base64
	}
}

// grpcStatus takes what a trailer section, or a header section without content, says of the end.
func (x *exchange) grpcStatus(fields []Field) {
	if x.GRPC == nil {
		return
	}
	status := fieldValue(fields, "grpc-status")
	if status == "" {
		return
	}
	if n, err := strconv.ParseUint(status, 10, 31); err == nil {
		x.GRPC.Status = int(n)
	}
	x.GRPC.Message = percentDecode(fieldValue(fields, "grpc-message"))
}

// grpcContent finds messages in octets of content.
func (x *exchange) grpcContent(d Dir, p []byte) {
	m := &x.grpc[d]
	for len(p) > 0 && !m.off {
		if m.n < len(m.prefix) {
			n := copy(m.prefix[m.n:], p)
			m.n += n
			p = p[n:]
			if m.n < len(m.prefix) {
				return
			}
			x.grpcPrefix(d, m)
		}
		n := int(min(uint64(len(p)), uint64(m.left)))
		if m.web && len(m.content)+n <= maxWebTrailers {
			m.content = append(m.content, p[:n]...)
		}
		m.left -= uint32(n)
		p = p[n:]
		if m.left == 0 {
			m.n = 0
			x.webTrailers(m)
		}
	}
}

// grpcPrefix begins a message.
func (x *exchange) grpcPrefix(d Dir, m *grpcReader) {
	m.left = binary.BigEndian.Uint32(m.prefix[1:])
	m.web = x.GRPC.Web && m.prefix[0]&grpcTrailers != 0
	if m.web {
		return
	}
	g := x.GRPC
	g.Count[d]++
	if m.prefix[0]&grpcCompressed != 0 {
		g.Compressed[d]++
	}
	if len(g.Messages[d]) < maxMessageSizes && x.list.hold(x, 8) {
		g.Messages[d] = append(g.Messages[d], int64(m.left))
	}
}

// webTrailers takes the trailers that gRPC-Web sends as content.
func (x *exchange) webTrailers(m *grpcReader) {
	if !m.web {
		return
	}
	var fields []Field
	for line := range strings.SplitSeq(string(m.content), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields = append(fields, Field{Name: name, Value: strings.TrimSpace(value)})
		}
	}
	m.web, m.content = false, nil
	x.trailers(Server, fields)
}

// lost notes that octets are missing. Within a message that is known to go on, that does no harm.
func (m *grpcReader) lost(n int64) {
	if m.n == len(m.prefix) && 0 <= n && n <= int64(m.left) && !m.web {
		m.left -= uint32(n)
		if m.left == 0 {
			m.n = 0
		}
		return
	}
	m.off = true
}

// partial returns how many octets have come of a message that did not come to its end.
func (m *grpcReader) partial() int64 {
	if m.off || m.n == 0 {
		return 0
	}
	if m.n < len(m.prefix) {
		return int64(m.n)
	}
	return int64(len(m.prefix)) + int64(binary.BigEndian.Uint32(m.prefix[1:])) - int64(m.left)
}

// percentDecode decodes grpc-message. What is no encoding stays as it is.
func percentDecode(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
