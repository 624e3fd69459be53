package main

import (
	"fmt"

	"github.com/sluice-go/sluice/stream/priority"
)

// setup is one way to send several responses at once over one connection, to a slow reader.
type setup struct {
	Via    string // "server", "conn", "nethttp"
	TLS    string // "": none; "tls"; "crypto/tls": for conn, one which does not lie above tlsbatch
	Scheme scheme
	How    string // "write", "flush", "copy"
	Piece  int    // octets of one Write, or of one Read of what is copied
	Finite int    // octets of each response, of which there are more then; 0: no end
	Buffer int    // of the sockets, in octets; 0: the kernel's choice

	Rate  int // octets of the reader in a second
	Skip  int // octets of DATA before those that are counted
	Count int // octets that are counted
}

func (s setup) String() string {
	tls := s.TLS
	if tls == "" {
		tls = "clear"
	}
	buffer := "auto"
	if s.Buffer > 0 {
		buffer = fmt.Sprintf("%dk", s.Buffer>>10)
	}
	end := ""
	if s.Finite > 0 {
		end = fmt.Sprintf("-of-%dk", s.Finite>>10)
	}
	return fmt.Sprintf("%s/%s/%s/%s-%dk%s/buffers-%s", s.Via, tls, s.Scheme.Name, s.How, s.Piece>>10, end, buffer)
}

// scheme is a scheduler and the priorities of the streams.
type scheme struct {
	Name      string
	Scheduler func() priority.Scheduler
	Streams   []priority.Params
}

func urgency(u uint8, incremental bool) priority.Params {
	return priority.Params{Extensible: true, Urgency: u, Incremental: incremental}
}

// below is a place in the tree below the stream with number parent, from 1; weight is 1 to 256.
func below(parent, weight int) priority.Params {
	p := priority.Params{Tree: true, Weight: uint8(weight - 1)}
	if parent > 0 {
		p.DependsOn = streamID(parent - 1)
	}
	return p
}

// streamID is the identifier of the stream with number i, from 0.
func streamID(i int) uint32 { return uint32(2*i + 1) }

var (
	urgencies = scheme{"urgency", priority.NewExtensible, []priority.Params{
		urgency(0, false), urgency(4, false), urgency(7, false),
	}}
	mixed = scheme{"incremental", priority.NewExtensible, []priority.Params{
		urgency(5, true), urgency(3, true), urgency(3, false), urgency(3, true),
	}}
	weights = scheme{"tree", priority.NewTree, []priority.Params{below(0, 16), below(0, 32), below(0, 80)}}
	deep    = scheme{"deep-tree", priority.NewTree, []priority.Params{
		below(0, 60), below(1, 200), below(0, 20), below(1, 10),
	}}
	auto   = scheme{"auto", priority.NewAuto, []priority.Params{urgency(6, true), urgency(1, true), urgency(1, true)}}
	equal  = scheme{"equal", priority.NewRoundRobin, make([]priority.Params, 3)}
	strict = scheme{"strict", newStrict, make([]priority.Params, 3)}
)

var schemes = []scheme{urgencies, mixed, weights, deep, auto, equal, strict}

// strictOrder serves the stream with the lowest identifier alone.
type strictOrder struct{ ready map[uint32]*priority.Node }

func newStrict() priority.Scheduler { return &strictOrder{make(map[uint32]*priority.Node)} }

func (s *strictOrder) Open(*priority.Node, priority.Params) {}
func (s *strictOrder) Close(n *priority.Node)               { s.Unready(n) }
func (s *strictOrder) Adjust(uint32, priority.Params)       {}
func (s *strictOrder) Ready(n *priority.Node)               { s.ready[n.ID] = n }
func (s *strictOrder) Unready(n *priority.Node)             { delete(s.ready, n.ID) }
func (s *strictOrder) Sent(*priority.Node, int)             {}

func (s *strictOrder) Next() (first *priority.Node) {
	for _, n := range s.ready {
		if first == nil || n.ID < first.ID {
			first = n
		}
	}
	return first
}

// times is how many responses of each kind there are.
func (s setup) times() int {
	if s.Finite > 0 {
		return 4
	}
	return 1
}

// expected are the shares that the scheduler decides on where every stream always has something to
// send, until it ends.
func (s setup) expected() []float64 {
	const frame = 16 << 10
	kinds := len(s.Scheme.Streams)
	sched, nodes := s.Scheme.Scheduler(), make([]priority.Node, kinds*s.times())
	for i := range nodes {
		nodes[i].ID, nodes[i].Owner = streamID(i), i
		sched.Open(&nodes[i], s.Scheme.Streams[i%kinds])
		sched.Ready(&nodes[i])
	}
	sent, of := make([]int, kinds), make([]int, len(nodes))
	for seen := 0; seen < s.Skip+s.Count; seen += frame {
		n := sched.Next()
		i := n.Owner.(int)
		if seen >= s.Skip {
			sent[i%kinds] += frame
		}
		sched.Sent(n, frame)
		if of[i] += frame; of[i] == s.Finite {
			sched.Close(n)
		}
	}
	return partsOf(sent)
}

// partsOf are the parts of the sum.
func partsOf(list []int) []float64 {
	sum, parts := 0, make([]float64, len(list))
	for _, n := range list {
		sum += n
	}
	for i, n := range list {
		parts[i] = float64(n) / float64(max(sum, 1))
	}
	return parts
}
