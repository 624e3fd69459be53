package core

import "github.com/sluice-go/sluice/conn/header"

// EventKind says what has happened.
type EventKind uint8

// The kinds of Event, with the fields that each fills beside Stream.
const (
	// EventHeaders: the head of a request (server) or the final head of a response (client) has
	// arrived; it is in Stream.Head. End is set when no body follows. On a server the stream is
	// new.
	EventHeaders EventKind = iota + 1
	// EventInformational: a 1xx response has arrived. Message is valid until the next Decode.
	EventInformational
	// EventData: DATA has arrived; Data is a view into the bytes given to Receive. Consume is to be
	// called for every octet, sooner or later. End is set with END_STREAM.
	EventData
	// EventTrailers: the trailer section, and with it the end, has arrived. Message is valid until
	// the next Decode.
	EventTrailers
	// EventDrained: all data that was queued on the stream is in the output.
	EventDrained
	// EventReset: the stream was ended early, by RST_STREAM in either direction or by GOAWAY; Err
	// says how.
	EventReset
	// EventFault: the peer has broken a rule on one stream, which is answered with RST_STREAM; Err
	// is the *frame.StreamError. Where the stream exists, EventReset follows. Stream is not set,
	// since the fault may be why the stream was not opened. If Err is a *frame.ConnError, the peer
	// went over a limit for which the connection is drained (see Limits).
	EventFault
	// EventClosed: the stream is closed, and Conn does not use it any more. It is the last event of
	// a stream, after EventReset too.
	EventClosed
	// EventPush: the peer has promised Stream in answer to Parent; the promised request is in
	// Stream.Head.
	EventPush
	// EventSettings: the peer's SETTINGS are in force; see Conn.PeerSettings.
	EventSettings
	// EventPingAck: our PING with Ping as its data was answered.
	EventPingAck
	// EventGoAway: the peer sent GOAWAY; Err is a *frame.ConnError with its code, last stream and
	// debug data.
	EventGoAway
	// EventOrigin: the server has sent ORIGIN; Data is its valid payload, a view into the bytes
	// given to Receive, for which Consume is not called.
	EventOrigin
	// EventAltSvc: the server has sent ALTSVC, on Stream where that is set; Data is as with
	// EventOrigin.
	EventAltSvc
)

// Event is one thing that happened on the connection. Which fields are set depends on the Kind.
type Event struct {
	Kind    EventKind
	End     bool
	Stream  *Stream
	Parent  *Stream
	Message *header.Message
	Data    []byte
	Ping    [8]byte
	Err     error
}

// eventQueue has the events in order.
type eventQueue struct {
	list []Event
	next int // index in list of the event that NextEvent returns next
}

// maxKeptEvents bounds the memory for events that is kept: one GOAWAY can queue two events for each
// stream. That is enough for the events of the usual number of streams.
const maxKeptEvents = 1024

// NextEvent returns the next event in order, and whether there was one. The event is valid until
// the next call of NextEvent.
func (c *Conn) NextEvent() (*Event, bool) {
	q := &c.events
	if q.next < len(q.list) {
		q.next++
		return &q.list[q.next-1], true
	}
	// All were taken: the queue is emptied, and what they refer to is dropped.
	for i := range q.list {
		switch e := &q.list[i]; e.Kind {
		case EventHeaders,
			EventClosed,
			EventDrained: // they have only these two fields, and are too frequent to clear all
			e.Stream, e.End = nil, false
		default:
			*e = Event{}
		}
	}
	q.list, q.next = q.list[:0], 0
	if cap(q.list) > maxKeptEvents {
		q.list = nil
	}
	return nil, false
}

// emitEvent queues an event.
func (c *Conn) emitEvent(e Event) { *c.queueEvent(e.Kind, e.Stream) = e }

// queueEvent queues an event and returns it, to be filled in. It is for frequent events, which have
// few of the fields: copying all fields would cost more than handling the event, while the garbage
// collector runs.
func (c *Conn) queueEvent(kind EventKind, s *Stream) *Event {
	n := len(c.events.list)
	if n < cap(c.events.list) {
		c.events.list = c.events.list[:n+1] // is zero but for Kind: see NextEvent
	} else {
		c.events.list = append(c.events.list, Event{})
	}
	e := &c.events.list[n]
	e.Kind, e.Stream = kind, s
	return e
}
