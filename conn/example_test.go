package conn_test

import (
	"fmt"
	"io"
	"log"
	"net"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
)

// greeter is a conn.Handler that answers at once, on the goroutine that reads the socket. That is
// the quickest way for a handler that never waits; one that does starts goroutines.
type greeter struct{}

func (greeter) HandleStreams(batch []*conn.Stream) {
	c := batch[0].Conn()
	for _, s := range batch {
		err := s.Reply([]header.Field{
			{Name: ":status", Value: "200"},
			{Name: "content-type", Value: "text/plain"},
		}, []byte("hello, "+s.Message().Path[1:]), nil)
		if err != nil {
			log.Print(err) // the client has reset the stream
		}
		s.Release() // s must not be touched from here on
	}
	c.Flush() // all the answers in one write
}

func (greeter) StreamBlocked(*conn.Stream) {}
func (greeter) ConnState(idle bool)        {}

// A server and a client without the types of net/http.
func Example() {
	clientEnd, serverEnd := net.Pipe() // any net.Conn will do

	server := conn.NewServer(serverEnd, conn.Config{}, greeter{})
	go func() {
		if err := server.Serve(); err != nil {
			log.Print(err)
		}
	}()

	client := conn.NewClient(clientEnd, conn.Config{}, nil)
	go client.Serve()

	s, err := client.OpenRequest(&conn.Request{Fields: []header.Field{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "example.com"},
		{Name: ":path", Value: "/world"},
	}, End: true})
	if err != nil {
		log.Fatal(err)
	}
	head, err := s.AwaitHead()
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(s)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(head.Status, head.Fields[0].Value)
	fmt.Println(string(body))
	s.Release()

	client.Shutdown()
	<-client.Done()
	<-server.Done()
	// Output:
	// 200 text/plain
	// hello, world
}

// counter is a conn.Tracer.
type counter struct{ in, out int }

func (c *counter) TraceFrame(_ *conn.Conn, f conn.FrameTrace) {
	if f.Direction == conn.In {
		c.in++
	} else {
		c.out++
	}
}

// A Tracer sees every frame of a connection.
func ExampleTracer() {
	clientEnd, serverEnd := net.Pipe()
	var frames counter
	server := conn.NewServer(serverEnd, conn.Config{Tracer: &frames}, greeter{})
	client := conn.NewClient(clientEnd, conn.Config{}, nil)
	go client.Serve()
	go func() {
		s, err := client.OpenRequest(&conn.Request{Fields: []header.Field{
			{Name: ":method", Value: "GET"},
			{Name: ":scheme", Value: "http"},
			{Name: ":authority", Value: "example.com"},
			{Name: ":path", Value: "/"},
		}, End: true})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := s.AwaitHead(); err != nil {
			log.Fatal(err)
		}
		s.Release()
		client.Shutdown()
	}()
	if err := server.Serve(); err != nil {
		log.Print(err)
	}
	fmt.Println("frames went both ways:", frames.in > 2 && frames.out > 2)
	// Output:
	// frames went both ways: true
}
