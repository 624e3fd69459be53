package capture_test

import (
	"fmt"
	"log"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// Requests that took more than 100 ms are found in a capture, with what they waited for. The keys
// of this one are in it; others come from a key log, by Options.KeyLog.
func ExampleReadFile() {
	slow := func(e capture.Event) {
		r, ok := e.(*capture.Request)
		if !ok {
			return
		}
		if took := r.End.Sub(r.Start); took > 100*time.Millisecond {
			windows := r.Wait.Stream + r.Wait.Connection
			fmt.Printf("%s %s: %v, of which %v for the server and %v for windows\n", r.Method, r.Path,
				took.Round(time.Millisecond), r.Wait.Server.Round(time.Millisecond), windows.Round(time.Millisecond))
		}
	}
	sum, err := capture.ReadFile("../cmd/sluice/testdata/example.pcapng", capture.Options{}, slow)
	if err != nil {
		log.Fatal(err) // what was read up to then was delivered
	}
	for _, problem := range sum.Problems { // such as keys that are missing
		fmt.Println(problem)
	}
	fmt.Println(sum.Requests, "requests on", sum.HTTP2, "connection of HTTP/2")
	// Output:
	// GET /download: 126ms, of which 0s for the server and 126ms for windows
	// 3 requests on 1 connection of HTTP/2
}

// A Live that is the Tracer of a server says which of its clients give no window.
func ExampleLive_stalls() {
	live := &capture.Live{
		Options: capture.Options{MinStall: 50 * time.Millisecond},
		Handler: func(e capture.Event) {
			if s, ok := e.(*capture.Stall); ok && s.Dir == capture.Server {
				log.Printf("connection %d, stream %d: no window for %v, ended by %s", s.Conn, s.Stream, s.Blocked, s.EndedBy)
			}
		},
	}
	addr, stop := serveHello(live) // server.Server{Config: server.Config{Tracer: live}}
	log.Println("http://" + addr)
	stop()
	live.Close()
}
