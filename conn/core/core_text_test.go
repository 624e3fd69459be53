package core

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func requestFields(more ...string) []header.Field {
	return h2test.GetOpen(0, more...).Fields
}

func responseFields(more ...string) []header.Field {
	if len(more) > 0 && strings.HasPrefix(more[0], ":status") {
		return h2test.Fields(more...)
	}
	return h2test.Response(0, 200, more...).Fields
}

// text is how a peer writes what c sends.
var text = h2test.Text{Lengths: true, Brief: true}

// take reads what c has sent.
func (p *peer) take() {
	p.tb.Helper()
	b := p.c.Output(nil)
	p.octets += len(b)
	b = []byte(strings.TrimPrefix(string(b), frame.Preface))
	p.codec.MaxFrameSize = p.c.peer.MaxFrameSize
	for len(b) > 0 {
		item, n, err := p.codec.Next(b)
		if err != nil || n == 0 {
			p.tb.Fatalf("c has sent no whole frame, or a bad one: %x (%v)", b, err)
		}
		b = b[n:]
		if f, ok := item.(frame.WindowUpdate); ok {
			p.granted[f.StreamID] += int64(f.Increment)
		}
		p.out = append(p.out, text.Line(item))
	}
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
