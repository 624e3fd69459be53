package stream

import "fmt"

// An Event is one frame, or one flag of a frame, on a stream. A frame with END_STREAM is two
// events: the frame and then SendEndStream or RecvEndStream (RFC 9113 §5.1). CONTINUATION is part
// of the frame that it continues. The zero Event is no event.
type Event uint8

// The events, from this endpoint's view.
const (
	SendHeaders Event = iota + 1
	SendData
	SendEndStream
	SendReset
	SendPushPromise // PUSH_PROMISE that promises this stream
	SendPromising   // PUSH_PROMISE on this stream that promises another one
	SendWindowUpdate
	SendPriority
	RecvHeaders
	RecvData
	RecvEndStream
	RecvReset
	RecvPushPromise // PUSH_PROMISE that promises this stream
	RecvPromising   // PUSH_PROMISE on this stream that promises another
	RecvWindowUpdate
	RecvPriority

	numEvents = iota + 1
)

var eventNames = [numEvents]string{
	SendHeaders:      "send HEADERS",
	SendData:         "send DATA",
	SendEndStream:    "send END_STREAM",
	SendReset:        "send RST_STREAM",
	SendPushPromise:  "send PUSH_PROMISE promising it",
	SendPromising:    "send PUSH_PROMISE on it",
	SendWindowUpdate: "send WINDOW_UPDATE",
	SendPriority:     "send PRIORITY",
	RecvHeaders:      "recv HEADERS",
	RecvData:         "recv DATA",
	RecvEndStream:    "recv END_STREAM",
	RecvReset:        "recv RST_STREAM",
	RecvPushPromise:  "recv PUSH_PROMISE promising it",
	RecvPromising:    "recv PUSH_PROMISE on it",
	RecvWindowUpdate: "recv WINDOW_UPDATE",
	RecvPriority:     "recv PRIORITY",
}

// String returns the event as "send HEADERS", "recv RST_STREAM" and so on.
func (e Event) String() string {
	if int(e) < len(eventNames) && eventNames[e] != "" {
		return eventNames[e]
	}
	return fmt.Sprintf("Event(%d)", uint8(e))
}
