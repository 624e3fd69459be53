package core_test

import (
	"fmt"
	"time"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
)

func config(role core.Role) core.Config {
	return core.Config{
		Role:                 role,
		MaxConcurrentStreams: 100,
		DecoderTableSize:     4096,
		EncoderTableSize:     4096,
		MaxReadFrameSize:     1 << 14,
		StreamWindow:         1 << 16,
		ConnWindow:           1 << 20,
		MaxUnread:            1 << 20,
		MaxHeaderBytes:       64 << 10,
		MaxHeaderFields:      200,
	}
}

// receive gives c what has arrived and calls f for each event. It returns what is left, the
// beginning of a frame.
func receive(c *core.Conn, b []byte, f func(*core.Event)) []byte {
	for {
		n, more, err := c.Receive(b, time.Now())
		if err != nil {
			panic(err) // a program would call c.Fail, send c.Output and close the connection
		}
		b = b[n:]
		for e, ok := c.NextEvent(); ok; e, ok = c.NextEvent() {
			f(e)
		}
		if !more {
			return b
		}
	}
}

// A client and a server, with a variable in place of a network.
func ExampleConn() {
	client, server := core.New(config(core.Client)), core.New(config(core.Server))
	client.Start(time.Now())
	server.Start(time.Now())

	_, err := client.Open(core.Request{Fields: []header.Field{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "example.com"},
		{Name: ":path", Value: "/greeting"},
	}, End: true})
	if err != nil {
		panic(err)
	}
	receive(server, client.Output(nil), func(e *core.Event) {
		if e.Kind != core.EventHeaders {
			return
		}
		fmt.Println("server:", e.Stream.Head.Method, e.Stream.Head.Path)
		head := []header.Field{{Name: ":status", Value: "200"}}
		if err := server.SendHead(e.Stream, core.ResponseHead{Fields: head}); err != nil {
			panic(err)
		}
		if err := server.Queue(e.Stream, core.Content{Data: []byte("Hello!"), End: true}); err != nil {
			panic(err)
		}
	})

	server.Fill(1 << 16)
	receive(client, server.Output(nil), func(e *core.Event) {
		switch e.Kind {
		case core.EventHeaders:
			fmt.Println("client:", e.Stream.Head.Status)
		case core.EventData:
			fmt.Printf("client: %q, the end: %v\n", e.Data, e.End)
			client.Consume(e.Stream, len(e.Data))
		case core.EventClosed:
			fmt.Println("client: stream", e.Stream.ID, "is closed")
		}
	})
	// Output:
	// server: GET /greeting
	// client: 200
	// client: "Hello!", the end: true
	// client: stream 1 is closed
}

// What breaks the protocol is an error, which Fail tells the peer.
func ExampleConn_Fail() {
	server := core.New(config(core.Server))
	server.Start(time.Now())
	server.Output(nil)
	_, _, err := server.Receive([]byte("GET / HTTP/1.1\r\n\r\n"), time.Now())
	fmt.Println(err)
	// Output:
	// http2: connection error PROTOCOL_ERROR: invalid connection preface (RFC 9113 §3.4)
}
