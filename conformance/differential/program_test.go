//go:build !nethttpomithttp2

package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// step is one step of a handler or of a client.
type step struct {
	op string
	n  int
	s  string
}

func (s step) String() string { return strings.TrimSpace(fmt.Sprint(s.op, " ", s.n, " ", s.s)) }

// program is a handler and a client.
type program struct {
	handler, client []step
}

func (p program) String() string { return fmt.Sprintf("handler: %v\nclient: %v", p.handler, p.client) }

var (
	names = []string{
		"X-A", "X-B", "Content-Type", "Content-Encoding", "Etag", "X-Empty",
		"Link", "x-lower", "Set-Cookie", "Server",
	}
	values   = []string{"", "1", "text/plain", "gzip", "a, b", "longer value with spaces", "\"quoted\"", "ü"}
	statuses = []int{200, 200, 201, 204, 205, 206, 301, 304, 400, 404, 413, 500, 599, 799}
	sizes    = []int{0, 1, 2, 10, 511, 512, 513, 2047, 2048, 4095, 4096, 4097, 16384, 16385, 70_000, 200_000}
	methods  = []string{"GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "WEIRD"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// generate makes the program of a seed.
func generate(seed uint64) (p program) {
	r := rand.New(rand.NewPCG(seed, 1))
	for range r.IntN(7) {
		p.handler = append(p.handler, handlerStep(r))
	}
	body := pick(r, []string{"none", "none", "bytes", "stream", "short", "fails", "slow"})
	p.client = append(p.client, step{body, pick(r, sizes), pick(r, methods)})
	for range r.IntN(3) {
		p.client = append(p.client, requestStep(r))
	}
	for range r.IntN(4) {
		op := pick(r, []string{"read", "read", "readAll", "close", "pause"})
		p.client = append(p.client, step{op: op, n: pick(r, sizes)})
	}
	return p
}

func handlerStep(r *rand.Rand) step {
	switch r.IntN(22) {
	case 0, 1:
		return step{"set", 0, pick(r, names) + ":" + pick(r, values)}
	case 2:
		return step{"add", 0, pick(r, names) + ":" + pick(r, values)}
	case 3:
		return step{"nil", 0, pick(r, names)}
	case 4:
		return step{op: "length", n: pick(r, sizes)}
	case 5:
		return step{op: "status", n: pick(r, statuses)}
	case 6:
		return step{op: "interim", n: pick(r, []int{102, 103, 199})}
	case 7, 8, 9:
		return step{op: "write", n: pick(r, sizes)}
	case 10:
		return step{op: "copy", n: pick(r, sizes)}
	case 11, 12:
		return step{op: "flush"}
	case 13, 14:
		return step{op: "read", n: pick(r, sizes)}
	case 15:
		return step{op: "readAll"}
	case 16:
		return step{op: "closeBody"}
	case 17:
		return step{"trailer", 0, pick(r, []string{"X-T", "X-U", "Content-Length"})}
	case 18:
		return step{"late", 0, pick(r, []string{"X-T", "Trailer:X-V", "Trailer:X-T"})}
	case 19:
		return step{op: pick(r, []string{"readDeadline", "writeDeadline"}), n: pick(r, []int{5, 15, 1000})}
	case 20:
		return step{op: pick(r, []string{"hijack", "push", "duplex", "maxBytes", "await", "pause"}), n: 10}
	}
	return step{op: pick(r, []string{"panic", "abort", "exit", "return", "pause"})}
}

func requestStep(r *rand.Rand) step {
	switch r.IntN(6) {
	case 0, 1:
		return step{"header", 0, pick(r, []string{
			"X-A", "Cookie", "Accept-Encoding", "Range", "User-Agent", "Te",
		}) + ":" + pick(r, values)}
	case 2:
		return step{op: "expect"}
	case 3:
		return step{"requestTrailer", 0, pick(r, []string{"X-T", "X-U"})}
	case 4:
		return step{op: "cancel", n: 5 + 10*r.IntN(6)}
	}
	return step{op: "timeout", n: 5 + 10*r.IntN(6)}
}

// shrink takes steps out as long as the rest still fails.
func (p program) shrink(fails func(program) bool) program {
	for again := true; again; {
		again = false
		for i := range p.handler {
			q := program{without(p.handler, i), p.client}
			if fails(q) {
				p, again = q, true
				break
			}
		}
		for i := 1; i < len(p.client); i++ {
			q := program{p.handler, without(p.client, i)}
			if fails(q) {
				p, again = q, true
				break
			}
		}
	}
	return p
}

func without(list []step, i int) []step {
	return append(append([]step(nil), list[:i]...), list[i+1:]...)
}
