package core

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
)

// message is a header block that the peer sends.
type message struct {
	id       uint32
	fields   []header.Field
	end      bool // END_STREAM
	promised uint32
	pieces   int // frames that the block is cut into; 0 is 1
	pad      uint8
	padded   bool
	priority *frame.PriorityParam
	open     bool // the last piece is without END_HEADERS
}

// fields makes fields of strings like "name: value".
func fields(ss ...string) []header.Field {
	var list []header.Field
	for _, s := range ss {
		i := strings.Index(s[1:], ": ") + 1
		list = append(list, header.Field{Name: s[:i], Value: s[i+2:]})
	}
	return list
}

func requestFields(more ...string) []header.Field {
	return append(fields(":method: GET", ":scheme: https", ":authority: example.com", ":path: /"), fields(more...)...)
}

func responseFields(more ...string) []header.Field {
	if len(more) > 0 && strings.HasPrefix(more[0], ":status") {
		return fields(more...)
	}
	return append(fields(":status: 200"), fields(more...)...)
}

// request is a GET without an end; see ends.
func request(id uint32, more ...string) message {
	return message{id: id, fields: requestFields(more...)}
}

// response is a 200, or the status that more begins with.
func response(id uint32, more ...string) message {
	return message{id: id, fields: responseFields(more...)}
}

// trailers end a stream.
func trailers(id uint32, more ...string) message {
	return message{id: id, fields: fields(more...), end: true}
}

// promise is a PUSH_PROMISE.
func promise(id, promised uint32, more ...string) message {
	return message{id: id, promised: promised, fields: requestFields(more...)}
}

// headers has exactly these fields.
func headers(id uint32, list ...string) message { return message{id: id, fields: fields(list...)} }

func (m message) ends() message { m.end = true; return m }

func (m message) cut(pieces int) message { m.pieces = pieces; return m }

func (m message) withPad(n uint8) message { m.padded, m.pad = true, n; return m }

func (m message) withPriority(p frame.PriorityParam) message { m.priority = &p; return m }

// unfinished leaves END_HEADERS out.
func (m message) unfinished() message { m.open = true; return m }

// encode encodes the block.
func (m message) encode(p *peer) []byte {
	p.block.Reset()
	for _, f := range m.fields {
		if err := p.enc.WriteField(f); err != nil {
			p.tb.Fatal(err)
		}
	}
	return p.block.Bytes()
}

func (m message) append(p *peer, b []byte) []byte {
	rest := m.encode(p)
	pieces := max(m.pieces, 1)
	for i := range pieces {
		n := min((len(rest)+pieces-i-1)/(pieces-i), frame.MinMaxFrameSize-300)
		part, last := rest[:n], i == pieces-1 && !m.open
		rest = rest[n:]
		switch {
		case i > 0:
			b = frame.Continuation{StreamID: m.id, EndHeaders: last, Fragment: part}.Append(b)
		case m.promised != 0:
			b = frame.PushPromise{
				StreamID: m.id, PromisedID: m.promised, EndHeaders: last,
				Padded: m.padded, PadLength: m.pad, Fragment: part,
			}.Append(b)
		default:
			f := frame.Headers{
				StreamID: m.id, EndStream: m.end, EndHeaders: last,
				Padded: m.padded, PadLength: m.pad, Fragment: part,
			}
			if m.priority != nil {
				f.HasPriority, f.Priority = true, *m.priority
			}
			b = f.Append(b)
		}
	}
	if len(rest) > 0 {
		p.tb.Fatalf("a block needs more than %d frames", pieces)
	}
	return b
}

func data(id uint32, s string) frame.Data { return frame.Data{StreamID: id, Data: []byte(s)} }

func dataEnd(id uint32, s string) frame.Data {
	return frame.Data{StreamID: id, Data: []byte(s), EndStream: true}
}

func dataOf(id uint32, n int) frame.Data { return frame.Data{StreamID: id, Data: make([]byte, n)} }

func reset(id uint32, code frame.Code) frame.RSTStream {
	return frame.RSTStream{StreamID: id, Code: code}
}

func update(id, n uint32) frame.WindowUpdate { return frame.WindowUpdate{StreamID: id, Increment: n} }

func ping(data string) frame.Ping { return frame.Ping{Data: [8]byte([]byte(data))} }

func settings(list ...frame.Setting) frame.Settings { return frame.NewSettings(list...) }

// raw is a frame of any form.
func raw(t frame.Type, flags frame.Flags, id uint32, payload ...byte) frame.Unknown {
	return frame.Unknown{Header: frame.Header{Type: t, Flags: flags, StreamID: id}, Payload: payload}
}

// take reads what c has sent.
func (p *peer) take() {
	p.tb.Helper()
	b := p.c.Output(nil)
	p.octets += len(b)
	b = []byte(strings.TrimPrefix(string(b), frame.Preface))
	for len(b) > 0 {
		h, payload, n, err := frame.Split(b, p.c.peer.MaxFrameSize)
		if err != nil || n == 0 {
			p.tb.Fatalf("c has sent no whole frame: %x (%v)", b, err)
		}
		f, err := frame.Parse(h, payload)
		if err != nil {
			p.tb.Fatalf("c has sent a bad frame: %v", err)
		}
		b = b[n:]
		p.out = append(p.out, p.line(f, &b))
	}
}

// line describes a frame. Header blocks take their CONTINUATION frames off b.
func (p *peer) line(f frame.Frame, b *[]byte) string {
	p.tb.Helper()
	switch f := f.(type) {
	case frame.Headers:
		return fmt.Sprintf("HEADERS %d", f.StreamID) + p.blockLine(f.StreamID, f.Fragment, f.EndHeaders, b) +
			when(f.EndStream, " END_STREAM")
	case frame.PushPromise:
		return fmt.Sprintf("PUSH_PROMISE %d %d", f.StreamID, f.PromisedID) +
			p.blockLine(f.StreamID, f.Fragment, f.EndHeaders, b)
	case frame.Data:
		return fmt.Sprintf("DATA %d %d", f.StreamID, len(f.Data)) + when(f.EndStream, " END_STREAM")
	case frame.RSTStream:
		return fmt.Sprintf("RST_STREAM %d %v", f.StreamID, f.Code)
	case frame.WindowUpdate:
		p.granted[f.StreamID] += int64(f.Increment)
		return fmt.Sprintf("WINDOW_UPDATE %d %d", f.StreamID, f.Increment)
	case frame.Settings:
		return "SETTINGS" + when(f.Ack, " ack")
	case frame.Ping:
		return fmt.Sprintf("PING %q", f.Data[:]) + when(f.Ack, " ack")
	case frame.GoAway:
		return fmt.Sprintf("GOAWAY %d %v %s", f.LastStreamID, f.Code, f.DebugData)
	}
	return f.String()
}

// blockLine describes the fields of a header block, which goes on in b unless end is set.
func (p *peer) blockLine(id uint32, block []byte, end bool, b *[]byte) (s string) {
	p.tb.Helper()
	frames := 1
	for ; !end; frames++ {
		h, payload, n, err := frame.Split(*b, p.c.peer.MaxFrameSize)
		if err != nil || n == 0 || h.Type != frame.TypeContinuation || h.StreamID != id {
			p.tb.Fatalf("no CONTINUATION follows HEADERS but %v (%v)", h, err)
		}
		block = append(block[:len(block):len(block)], payload...)
		end = h.Flags.Has(frame.FlagEndHeaders)
		*b = (*b)[n:]
	}
	list, err := p.dec.DecodeFull(block)
	if err != nil {
		p.tb.Fatalf("c has sent a bad header block: %v", err)
	}
	for _, field := range list {
		s += " " + field.Name + "=" + field.Value
	}
	if frames > 1 {
		s += fmt.Sprintf(" in %d frames", frames)
	}
	return s
}

func when(set bool, s string) string {
	if set {
		return s
	}
	return ""
}

// takeEvents reads the events that c has queued.
func (p *peer) takeEvents() {
	for {
		e, ok := p.c.NextEvent()
		if !ok {
			return
		}
		if e.Kind == EventFault {
			p.faults = append(p.faults, e.Err.Error())
			continue // every one of them is seen by its RST_STREAM, too
		}
		if e.Stream != nil {
			p.streams[e.Stream.ID] = e.Stream
		}
		if e.Kind == EventData {
			p.unread[e.Stream] += len(e.Data)
		}
		p.events = append(p.events, describe(e))
	}
}

// describe is an event as a line.
func describe(e *Event) string {
	id := uint32(0)
	if e.Stream != nil {
		id = e.Stream.ID
	}
	end := when(e.End, " end")
	switch e.Kind {
	case EventHeaders:
		return fmt.Sprintf("headers %d %s", id, summary(&e.Stream.Head)) + end
	case EventInformational:
		return fmt.Sprintf("interim %d %s", id, summary(e.Message))
	case EventData:
		return fmt.Sprintf("data %d %d", id, len(e.Data)) + end
	case EventTrailers:
		return fmt.Sprintf("trailers %d %s", id, summary(e.Message)) + end
	case EventDrained:
		return fmt.Sprintf("drained %d", id)
	case EventReset:
		var se *frame.StreamError
		if !errors.As(e.Err, &se) {
			return fmt.Sprintf("reset %d %v", id, e.Err)
		}
		return fmt.Sprintf("reset %d %v %v", id, se.Initiator, se.Code)
	case EventClosed:
		return fmt.Sprintf("closed %d", id)
	case EventPush:
		return fmt.Sprintf("push %d on %d %s", id, e.Parent.ID, summary(&e.Stream.Head))
	case EventSettings:
		return "settings"
	case EventPingAck:
		return fmt.Sprintf("ping ack %q", e.Ping[:])
	case EventGoAway:
		return "goaway: " + e.Err.Error()
	case EventOrigin:
		return fmt.Sprintf("ORIGIN %d", len(e.Data))
	case EventAltSvc:
		if e.Stream != nil {
			return fmt.Sprintf("ALTSVC %d %d", id, len(e.Data))
		}
		return fmt.Sprintf("ALTSVC %d", len(e.Data))
	}
	return fmt.Sprintf("event %d", e.Kind)
}

func summary(m *header.Message) string {
	var s []string
	switch {
	case m.Status != 0:
		s = append(s, fmt.Sprint(m.Status))
	case m.Method != "":
		s = append(s, m.Method+" "+m.Path)
	}
	for _, f := range m.Fields {
		s = append(s, f.Name+"="+f.Value)
	}
	if m.TooLarge {
		s = append(s, "too large")
	}
	return strings.Join(s, " ")
}

func itoa(n uint32) string { return fmt.Sprint(n) }
