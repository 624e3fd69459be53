package model

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// gen makes scripts from random numbers.
type gen struct {
	*rand.Rand
	calm bool // no operation of the script disturbs a request that is not its own
}

func generate(seed uint64) script {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 0x736c75696365))}
	g.calm = g.IntN(2) == 0
	s := script{g.testbed()}
	requests := 0
	for range 3 + g.IntN(25) {
		s = append(s, g.op(&requests))
	}
	return s
}

// oneOf returns one of the words.
func (g *gen) oneOf(words string) string {
	w := strings.Fields(words)
	return w[g.IntN(len(w))]
}

// maybe sets a parameter in one of n cases.
func (g *gen) maybe(o *op, n int, key, words string) {
	if g.IntN(n) == 0 {
		o.set(key, g.oneOf(words))
	}
}

func (g *gen) testbed() op {
	o := op{name: "testbed"}
	o.set("client", g.oneOf("transport transport conn one two strict once three configured"))
	kinds := "wrapped nohalf empty refused idle timeouts"
	if !g.calm {
		kinds += " fatal"
	}
	g.maybe(&o, 4, "ckind", kinds)
	g.maybe(&o, 4, "skind", kinds)
	g.maybe(&o, 2, "latency", "1 5 40")
	g.maybe(&o, 4, "bandwidth", "1000000 50000000")
	g.maybe(&o, 3, "buffer", "1000 20000")
	g.maybe(&o, 2, "cut", "9 100 3000 20000")
	g.maybe(&o, 2, "streams", "1 2 5")
	g.maybe(&o, 3, "swindow", "1000 16384 65535")
	g.maybe(&o, 4, "sconn", "65535")
	g.maybe(&o, 4, "sunread", "65536")
	g.maybe(&o, 3, "cwindow", "1000 16384 65535")
	g.maybe(&o, 4, "cconn", "65535")
	g.maybe(&o, 4, "cunread", "65536")
	g.maybe(&o, 2, "dispatch", "1")
	g.maybe(&o, 5, "age", "20 300")
	g.maybe(&o, 4, "push", "handler cache")
	g.maybe(&o, 4, "replay", "-1 1000")
	g.maybe(&o, 5, "sched", "tree extensible roundrobin")
	g.maybe(&o, 6, "pad", "1")
	g.maybe(&o, 3, "procs", "1 8")
	return o
}

func (g *gen) op(requests *int) op {
	n := g.IntN(100)
	if *requests == 0 || n < 50 {
		*requests++
		return g.request(*requests)
	}
	whose := 1 + g.IntN(*requests)
	o := op{}
	switch {
	case n < 66:
		o.name = "sleep"
		o.set("ms", g.oneOf("0 0 1 3 30 400"))
	case n < 75:
		o.name = g.oneOf("cancel cancel close")
		o.set("id", whose)
	case n < 79:
		o.name = "idle"
	case n < 84:
		o.name = "refuse"
		o.set("n", 1+g.IntN(2))
	case n < 88:
		o.name = "goaway"
		o.set("conn", g.IntN(4))
	case n < 91:
		o.name = "ping"
	case n < 94 || g.calm:
		o.name = "stall"
		o.set("conn", g.IntN(4))
		// A write to a connection that is closed fails at once here, also where the path stalls,
		// and the client reads on for a second then.
		o.set("ms", g.oneOf("1 100 700"))
	case n < 98:
		o.name = "cut"
		o.set("conn", g.IntN(4))
		o.set("how", g.oneOf("reset eof client server policy"))
	default:
		o.name = "restart"
		o.set("ms", g.oneOf("0 5 1000"))
	}
	return o
}

func (g *gen) size() int {
	switch g.IntN(5) {
	case 0:
		return g.IntN(10)
	case 1:
		return 4000 + g.IntN(400)
	case 2:
		return g.IntN(20_000)
	case 3:
		return 60_000 + g.IntN(10_000)
	default:
		return g.IntN(250_000)
	}
}

func (g *gen) request(id int) op {
	o := op{name: "do"}
	o.set("id", id)
	method := g.oneOf("GET GET GET POST POST POST PUT HEAD")
	o.set("m", method)
	if method == "POST" || method == "PUT" {
		o.set("up", g.size())
		g.maybe(&o, 2, "len", "1")
		g.maybe(&o, 3, "getbody", "1")
		g.maybe(&o, 3, "chunk", "1000 40000")
		g.maybe(&o, 4, "gap", "1 20")
		g.maybe(&o, 3, "trailer", "1")
		g.maybe(&o, 12, "fail", "0 1 5000")
		g.maybe(&o, 12, "short", "1 100")
		g.maybe(&o, 8, "expect", "1")
	}
	g.maybe(&o, 15, "timeout", "1 30 500")
	o.set("srv", g.handlerCalls(method))
	if calls := g.callerCalls(); calls != "" {
		o.set("cli", calls)
	}
	return o
}

// handlerCalls makes the calls of a handler; exchange.step says what the letters mean.
func (g *gen) handlerCalls(method string) string {
	var p []string
	add := func(call string, n int) { p = append(p, fmt.Sprint(call, n)) }
	reads := method != "GET"
	if g.IntN(4) == 0 {
		status := []int{200, 204, 304, 404, 421, 500}[g.IntN(6)]
		add("h", status)
		// A client stops sending at 300 and above: a handler that reads on would wait until it
		// leaves.
		reads = reads && status < 300
	}
	if g.IntN(4) == 0 {
		add("l", 0)
	}
	for range g.IntN(7) {
		switch n := g.IntN(40); {
		case n < 8 && reads:
			add("r", g.size())
		case n < 18:
			add("w", g.size())
		case n < 20:
			add("c", g.size())
		case n < 24:
			add("f", 0)
		case n < 28:
			add("s", []int{0, 1, 1, 20, 200}[g.IntN(5)])
		case n < 30:
			add("i", 103)
		case n < 31:
			add("p", g.size())
		case n < 32:
			add("b", 0)
		case n < 33:
			add([]string{"d", "D"}[g.IntN(2)], []int{0, 5, 5000}[g.IntN(3)])
		case n < 34:
			add("t", 0)
		case n < 35:
			add("k", 0)
		case n < 36:
			add([]string{"g", "x", "X", "q"}[g.IntN(4)], 0)
		case reads:
			add("e", 0)
		}
	}
	return strings.Join(p, ",")
}

// callerCalls makes what a caller does with a response; exchange.consume says what the letters
// mean.
func (g *gen) callerCalls() string {
	var p []string
	for range g.IntN(4) {
		switch n := g.IntN(12); {
		case n < 5:
			p = append(p, fmt.Sprint("r", g.size()))
		case n < 9:
			p = append(p, fmt.Sprint("s", []int{0, 1, 30, 300}[g.IntN(4)]))
		case n < 10:
			p = append(p, "c0")
		case n < 11:
			p = append(p, "x0")
		default:
			p = append(p, "j0")
		}
	}
	return strings.Join(p, ",")
}
