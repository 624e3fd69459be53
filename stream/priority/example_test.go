package priority_test

import (
	"fmt"

	"github.com/sluice-go/sluice/stream/priority"
)

// response is a stream with a body to send.
type response struct {
	node priority.Node
	name string
	left int
}

func Example() {
	sched := priority.NewRoundRobin()
	for i, r := range []*response{
		{name: "page", left: 2000},
		{name: "film", left: 40000},
		{name: "song", left: 20000},
	} {
		r.node = priority.Node{ID: uint32(2*i + 1), Owner: r}
		sched.Open(&r.node, priority.Params{})
		sched.Ready(&r.node)
	}

	for n := sched.Next(); n != nil; n = sched.Next() {
		r := n.Owner.(*response)
		frame := min(r.left, 16384)
		r.left -= frame
		fmt.Println(r.name, frame)
		sched.Sent(n, frame)
		if r.left == 0 {
			sched.Close(n)
		}
	}
	// Output:
	// page 2000
	// film 16384
	// song 16384
	// film 16384
	// song 3616
	// film 7232
}

// Urgent responses go first; those that are incremental share.
func ExampleNewExtensible() {
	sched := priority.NewExtensible()
	for i, r := range []*struct {
		response
		field string
	}{
		{response{name: "image", left: 20000}, "u=5, i"},
		{response{name: "photo", left: 30000}, "u=5, i"},
		{response{name: "page", left: 10000}, "u=3"},
		{response{name: "style", left: 2000}, "u=1"},
	} {
		r.node = priority.Node{ID: uint32(2*i + 1), Owner: &r.response}
		p, ok := priority.Parse(r.field)
		if !ok {
			p = priority.Params{} // as if there were no such field
		}
		sched.Open(&r.node, p)
		sched.Ready(&r.node)
	}
	// PRIORITY_UPDATE: the photo is on the screen now.
	sched.Adjust(3, priority.Params{Extensible: true, Urgency: 2})

	for n := sched.Next(); n != nil; n = sched.Next() {
		r := n.Owner.(*response)
		frame := min(r.left, 16384)
		r.left -= frame
		fmt.Println(r.name, frame)
		sched.Sent(n, frame)
		if r.left == 0 {
			sched.Close(n)
		}
	}
	// Output:
	// style 2000
	// photo 16384
	// photo 13616
	// page 10000
	// image 16384
	// image 3616
}

// The server changes the urgency that the client has stated, and keeps its incremental parameter.
func ExampleParams_Merge() {
	client, _ := priority.Parse("u=5, i")
	merged, ok := client.Merge("u=1") // the priority field of the response
	fmt.Println(merged.Field(), ok)
	// Output: u=1, i true
}

// Streams that depend on a page wait until the page is sent, and then share octets by weight.
func ExampleNewTree() {
	sched := priority.NewTree()
	for i, r := range []*struct {
		response
		priority priority.Params
	}{
		{response{name: "page", left: 20000}, priority.Params{}},
		{response{name: "song", left: 20000}, priority.Params{Tree: true, DependsOn: 1, Weight: 16 - 1}},
		{response{name: "film", left: 40000}, priority.Params{Tree: true, DependsOn: 1, Weight: 64 - 1}},
	} {
		r.node = priority.Node{ID: uint32(2*i + 1), Owner: &r.response}
		sched.Open(&r.node, r.priority)
		sched.Ready(&r.node)
	}

	for n := sched.Next(); n != nil; n = sched.Next() {
		r := n.Owner.(*response)
		frame := min(r.left, 8192)
		r.left -= frame
		fmt.Println(r.name, frame)
		sched.Sent(n, frame)
		if r.left == 0 {
			sched.Close(n)
		}
	}
	// Output:
	// page 8192
	// page 8192
	// page 3616
	// song 8192
	// film 8192
	// film 8192
	// film 8192
	// film 8192
	// song 8192
	// film 7232
	// song 3616
}
