package flow_test

import (
	"fmt"
	"time"

	"github.com/sluice-go/sluice/flow"
)

// A sender may send as many octets as both of its windows allow.
func Example_send() {
	var conn, stream flow.SendWindow
	conn.Add(65535)
	stream.Add(65535)

	body := 100_000
	for body > 0 {
		n := min(body, 16384, int(conn.Available()), int(stream.Available()))
		if n <= 0 {
			fmt.Println("blocked with", body, "octets to go")
			break
		}
		conn.Take(n)
		stream.Take(n)
		body -= n
	}

	// WINDOW_UPDATE frames of the peer open the windows again.
	fmt.Println(conn.Add(40_000), stream.Add(40_000))
	fmt.Println(stream.Add(1<<31 - 1)) // a FLOW_CONTROL_ERROR
	// Output:
	// blocked with 34465 octets to go
	// true true
	// false
}

// A receiver gives credit back as the application reads.
func Example_receive() {
	stream := flow.NewRecvWindow(65535)
	for i := range 4 {
		if !stream.Receive(16000) { // a DATA frame
			fmt.Println("FLOW_CONTROL_ERROR")
		}
		if inc := stream.Release(16000); inc > 0 { // it was read
			fmt.Printf("after frame %d: WINDOW_UPDATE %d\n", i+1, inc)
		}
	}
	fmt.Println("the peer may send", stream.Available())
	// Output:
	// after frame 3: WINDOW_UPDATE 48000
	// the peer may send 49535
}

// The window of a connection starts with 65,535 octets whatever the settings say; only
// WINDOW_UPDATE makes it larger.
func ExampleRecvWindow_Resize() {
	conn := flow.NewRecvWindow(65535)
	fmt.Println("WINDOW_UPDATE on stream 0:", conn.Resize(1<<20))
	fmt.Println("the peer may send", conn.Available())
	// Output:
	// WINDOW_UPDATE on stream 0: 983041
	// the peer may send 1048576
}

// The round-trip time is 100 ms and the peer may have 64 KiB on its way. All of them are read
// within 2 ms, so the path can carry more.
func ExampleBDPEstimator() {
	var bdp flow.BDPEstimator
	var sample flow.BDPSample
	window := flow.NewRecvWindow(65536)
	now := time.Unix(1_000_000_000, 0)
	bdp.PingSent(now) // SETTINGS or PING is sent
	now = now.Add(100 * time.Millisecond)
	bdp.PingAcked(now)

	for range 4 {
		now = now.Add(time.Millisecond / 2)
		bdp.DataReceived(&sample, 1<<20, now)
		window.Receive(16384)
		increment := window.Release(16384) // it was read
		if bdp.Consumed(&sample, &window, 16384) {
			_, more := bdp.Grow(&sample, &window, 16<<20, now)
			increment += more
		}
		if increment > 0 {
			fmt.Println("WINDOW_UPDATE", increment)
		}
	}
	fmt.Println("RTT", bdp.RTT(), "size", window.Size())
	// Output:
	// WINDOW_UPDATE 491520
	// RTT 100ms size 524288
}
