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
