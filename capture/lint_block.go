package capture

import (
	"time"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
)

// lintBlock is a header block that has begun (RFC 9113 §4.3).
type lintBlock struct {
	open      bool
	stream    uint32
	promised  uint32 // by PUSH_PROMISE; 0: it began with HEADERS
	endStream bool
	octets    uint32 // of the fragments
	frames    uint32 // CONTINUATION frames
	empty     uint32 // CONTINUATION frames without a fragment
	last      bool   // END_HEADERS has come with this frame
}

// messageKind is what a header section is.
type messageKind uint8

const (
	noMessage messageKind = iota
	requestHead
	responseHead
	interimHead
	trailerSection
	promisedHead
)

// lintMessage is the header section that ends with the frame that is checked.
type lintMessage struct {
	kind      messageKind
	stream    *lintStream
	endStream bool
	known     bool // all fields are
	header.Message
	fields []header.Field // as they were sent
	size   uint64         // as RFC 9113 §6.5.2 counts
	octets uint32         // of the block
}

// block applies a frame to the block of its sender.
func (b *lintBlock) apply(f *Frame) {
	h := f.Header
	b.last = false
	switch h.Type {
	case frame.TypeHeaders, frame.TypePushPromise:
		*b = lintBlock{open: true, stream: h.StreamID}
		b.endStream = h.Type == frame.TypeHeaders && h.Flags.Has(frame.FlagEndStream)
		if p, ok := f.Parsed.(frame.PushPromise); ok {
			b.promised = p.PromisedID
		}
	case frame.TypeContinuation:
		if !b.open || b.stream != h.StreamID {
			return
		}
		b.frames++
		if h.Length == 0 {
			b.empty++
		}
	default:
		return
	}
	b.octets += h.Length - min(f.Padding, h.Length)
	if h.Flags.Has(frame.FlagEndHeaders) {
		b.open, b.last = false, true
	}
}

// begin finds what the frame is a part of, before the rules look at it.
func (l *lint) begin(f *Frame) {
	l.message = lintMessage{fields: l.message.fields[:0]}
	b := l.sides[f.Dir].block // as it will be
	if f.Header.Type == frame.TypeHeaders {
		s := l.stateBefore(f)
		l.sides[f.Dir].misplaced = s != 0 && s.On(stream.SendHeaders).Verdict == stream.Misuse
	}
	b.apply(f)
	if !b.last || f.Missing > 0 || len(f.Fields) == 0 {
		return
	}
	m := &l.message
	m.endStream, m.octets = b.endStream, b.octets
	m.stream = l.get(b.stream)
	m.known = !f.Tainted
	for i := range f.Fields {
		x := &f.Fields[i]
		m.known = m.known && x.State == Known
		m.fields = append(m.fields, header.Field{Name: x.Name, Value: x.Value})
	}
	m.size = header.ListSize(m.fields)
	m.Message = header.NewMessage(m.fields)
	m.kind = l.kindOf(f.Dir, &b, m)
}

// kindOf says what a header section is; noMessage where that is not certain, or its fields are not.
func (l *lint) kindOf(d Dir, b *lintBlock, m *lintMessage) messageKind {
	st, side := m.stream, &l.sides[d]
	bare := m.Method == "" && m.Status == 0 // trailers, or a malformed head
	switch {
	case !m.known || side.misplaced || l.s.info.StartMissing && wrongSide(d, m):
		return noMessage
	case b.promised != 0:
		return promisedHead
	case st == nil:
		if d == Server || opener(b.stream) == Server || b.stream <= side.highest || bare && side.lossy {
			return noMessage
		}
		return requestHead
	case bare && (st.unsure || st.unread[d]):
		return noMessage
	case d == Server && m.Status >= 100 && m.Status < 200:
		return interimHead
	case st.heads[d] > 0 && (bare || !st.unsure && !st.unread[d]):
		return trailerSection
	case d == Client:
		return requestHead
	}
	return responseHead
}

// wrongSide reports whether a head is that of a message which the other side sends.
func wrongSide(d Dir, m *lintMessage) bool {
	if d == Client {
		return m.Method == "" && m.Status != 0
	}
	return m.Method != "" && m.Status == 0
}

// applyMessage notes the header section that has ended.
func (l *lint) applyMessage(f *Frame) {
	m, b := &l.message, &l.sides[f.Dir].block
	st := l.get(b.stream) // which it may have opened
	if st == nil || !b.last {
		return
	}
	switch m.kind {
	case noMessage:
		st.unread[f.Dir] = true
	case requestHead:
		st.heads[Client] = 1
		st.declared[Client] = m.ContentLength
		st.head, st.connect = m.Method == "HEAD", m.Method == "CONNECT"
	case responseHead:
		st.heads[Server] = 1
		st.status, st.grpc = m.Status, isGRPC(m.fields)
		st.declared[Server] = m.ContentLength
		st.noBody = st.head || m.Status == 204 || m.Status == 304
		if st.noBody || st.tunnel() {
			st.declared[Server] = -1
		}
	case trailerSection:
		st.heads[f.Dir] = 2
	default:
	}
}

// tunnel reports whether CONNECT was answered with success.
func (st *lintStream) tunnel() bool { return st.connect && st.status >= 200 && st.status < 300 }

// isGRPC reports whether content-type is that of gRPC.
func isGRPC(fields []header.Field) bool {
	const t = "application/grpc"
	v := fieldOf(fields, "content-type")
	return len(v) >= len(t) && v[:len(t)] == t && (len(v) == len(t) || v[len(t)] == '+' || v[len(t)] == ';')
}

// fieldOf returns the value of the first field of that name.
func fieldOf(fields []header.Field, name string) string {
	for i := range fields {
		if fields[i].Name == name {
			return fields[i].Value
		}
	}
	return ""
}

// lintPing is a PING that was not answered.
type lintPing struct {
	data [8]byte
	at   time.Time
}

// maxLintPings is how many are remembered.
const maxLintPings = 100

// lintGoAway is the GOAWAY that a side has sent last.
type lintGoAway struct {
	sent bool
	at   time.Time // of the first
	last uint32
}
