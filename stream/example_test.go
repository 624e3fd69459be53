package stream_test

import (
	"fmt"

	"github.com/sluice-go/sluice/stream"
)

// A request on a server, and a DATA frame after its END_STREAM.
func ExampleState_On() {
	s := stream.Idle
	for _, e := range []stream.Event{
		stream.RecvHeaders,
		stream.RecvEndStream,
		stream.RecvData,
	} {
		r := s.On(e)
		if err := r.Verdict.Err(1, e, s); err != nil {
			fmt.Println(err)
		} else {
			fmt.Printf("%v: %v\n", e, r.Next)
		}
		s = r.Next
	}
	// Output:
	// recv HEADERS: open
	// recv END_STREAM: half-closed (remote)
	// http2: stream 1 error STREAM_CLOSED: recv DATA in state half-closed (remote) (RFC 9113 §5.1)
}

func ExampleIDs() {
	ids := stream.NewIDs(true)
	for range 3 {
		id, _ := ids.Next()
		fmt.Println("open", id)
	}
	fmt.Println(ids.Accept(4), ids.Idle(2), ids.Idle(6))
	fmt.Println(ids.Accept(2))
	// Output:
	// open 1
	// open 3
	// open 5
	// <nil> false true
	// http2: connection error PROTOCOL_ERROR: stream identifier not higher than those before (RFC 9113 §5.1.1)
}

func ExampleTable() {
	var streams stream.Table[string]
	streams.Put(1, "/")
	streams.Put(3, "/style.css")
	path, ok := streams.Get(3)
	fmt.Println(path, ok)
	for id := range streams.All() {
		streams.Delete(id)
	}
	fmt.Println(streams.Len())
	// Output:
	// /style.css true
	// 0
}

// The verdict on a late frame depends on what closed its stream.
func ExampleClosedStreams() {
	var closed stream.ClosedStreams
	closed.Add(1, stream.ClosedEnd)
	closed.Add(3, stream.ClosedResetLocal)
	for _, id := range []uint32{1, 3} {
		s, _ := closed.State(id)
		fmt.Printf("DATA on stream %d, %v: %v\n", id, s, s.On(stream.RecvData).Verdict)
	}
	// Output:
	// DATA on stream 1, closed (END_STREAM): connection error STREAM_CLOSED
	// DATA on stream 3, closed (reset by us): ignored
}
