package inspect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/capture"
)

// A exchange is what is kept of a request for a comparison.
type exchange struct {
	capture.Request
	key string // of what it is compared with
}

// maxExchanges bounds the requests of a side that are compared, and maxExchangeOctets the octets of
// all their fields.
const (
	maxExchanges      = 100_000
	maxExchangeOctets = 256 << 20
)

// exchanges are the requests of a side, in the order of their beginning.
type exchanges struct {
	list    []*exchange
	octets  int
	dropped int
	tunnels map[conn]bool // that other connections are in
}

// add keeps a request.
func (s *exchanges) add(r *capture.Request) {
	e := &exchange{Request: *r}
	e.GRPC, e.DataChunks, e.Interim = nil, nil, slices.Clone(r.Interim)
	for i := range e.Interim {
		e.Interim[i].Fields = nil
	}
	for _, sections := range []*[2][]capture.Field{&e.Fields, &e.Trailers} {
		for d := range sections {
			sections[d] = slices.Clone(sections[d])
			for i := range sections[d] {
				f := &sections[d][i]
				f.Name, f.Value = strings.Clone(f.Name), strings.Clone(f.Value)
				s.octets += len(f.Name) + len(f.Value)
			}
		}
	}
	for _, text := range []*string{&e.Method, &e.Scheme, &e.Authority, &e.Path, &e.Protocol, &e.ResetBy} {
		*text = strings.Clone(*text)
	}
	if len(s.list) >= maxExchanges || s.octets > maxExchangeOctets {
		s.dropped++
		return
	}
	e.key = e.Method + " " + e.Path
	if e.Method == "CONNECT" {
		e.key += e.Authority
	}
	s.list = append(s.list, e)
}

// sort brings the requests into the order in which they began.
func (s *exchanges) sort() {
	slices.SortStableFunc(s.list, func(a, b *exchange) int { return a.Start.Compare(b.Start) })
}

// A comparison pairs the requests of two sides, and says what differs.
type comparison struct {
	x         *text
	a, b      exchanges
	different int
}

// run pairs requests with the same method and path in their order, and writes what differs.
func (c *comparison) run() {
	c.a.sort()
	c.b.sort()
	waiting := map[string][]*exchange{}
	for _, e := range c.b.list {
		waiting[e.key] = append(waiting[e.key], e)
	}
	pairs, same := 0, 0
	for _, a := range c.a.list {
		queue := waiting[a.key]
		if len(queue) == 0 {
			c.alone("A", a)
			continue
		}
		waiting[a.key] = queue[1:]
		pairs++
		if !c.pair(a, queue[0]) {
			same++
		}
	}
	for _, b := range c.b.list {
		if queue := waiting[b.key]; len(queue) > 0 && queue[0] == b {
			waiting[b.key] = queue[1:]
			c.alone("B", b)
		}
	}
	x := c.x
	fmt.Fprintf(x, "\n%s in A, %s in B: %s, %d of them the same\n", countText(int64(len(c.a.list)), "request"),
		countText(int64(len(c.b.list)), "request"), countText(int64(pairs), "pair"), same)
	if n := c.a.dropped + c.b.dropped; n > 0 {
		fmt.Fprintf(x, "%s more were not compared: they are too many\n", countText(int64(n), "request"))
	}
	x.flush()
}

// alone writes a request that the other side does not have.
func (c *comparison) alone(side string, e *exchange) {
	c.different++
	x := c.x
	x.b = x.colors.bold.add(x.b, "only in "+side)
	fmt.Fprintf(x, " #%d stream %d: ", e.Conn, e.Stream)
	x.say(e.Method + " " + requestTarget(&e.Request))
	x.put("\n")
	x.flush()
}

// pair writes what differs in a pair, and reports whether something does besides times.
func (c *comparison) pair(a, b *exchange) bool {
	x := c.x
	x.b = append(x.b, x.colors.bold.on...)
	x.say(a.Method + " " + requestTarget(&a.Request))
	x.b = append(x.b, x.colors.bold.off...)
	fmt.Fprintf(x, "  A #%d stream %d, B #%d stream %d\n", a.Conn, a.Stream, b.Conn, b.Stream)
	differs := false
	for _, d := range []capture.Dir{capture.Client, capture.Server} {
		what := []string{"request", "response"}[d]
		var pseudo [][3]string
		if d == capture.Client {
			pseudo = [][3]string{
				{"scheme", a.Scheme, b.Scheme},
				{"authority", a.Authority, b.Authority},
				{"protocol", a.Protocol, b.Protocol},
			}
		} else {
			pseudo = [][3]string{
				{"status", outcome(&a.Request), outcome(&b.Request)},
				{"interim responses", interimText(a.Interim), interimText(b.Interim)},
			}
		}
		pseudo = append(pseudo, [3]string{"octets of content", fmt.Sprint(a.Body[d]), fmt.Sprint(b.Body[d])})
		for _, p := range pseudo {
			if p[1] != p[2] {
				differs = true
				c.change('~', what+" "+p[0], p[1]+" → "+p[2])
			}
		}
		differs = c.sections(what, a.Fields[d], b.Fields[d]) || differs
		differs = c.sections(what+" trailer", a.Trailers[d], b.Trailers[d]) || differs
	}
	c.times(&a.Request, &b.Request)
	if differs {
		c.different++
	}
	x.flush()
	return differs
}

// interimText has the status codes of interim responses.
func interimText(list []capture.Interim) string {
	codes := make([]string, len(list))
	for i := range list {
		codes[i] = strconv.Itoa(list[i].Status)
	}
	return "[" + strings.Join(codes, " ") + "]"
}

// change writes a difference.
func (c *comparison) change(sign rune, what, text string) {
	x := c.x
	s := x.colors.warn
	switch sign {
	case '+':
		s = x.colors.good
	case '-':
		s = x.colors.bad
	}
	x.put("    ")
	x.b = append(x.b, s.on...)
	fmt.Fprintf(x, "%c %s ", sign, what)
	x.say(text)
	x.b = append(x.b, s.off...)
	x.put("\n")
}

// times writes how long both sides took.
func (c *comparison) times(a, b *capture.Request) {
	x := c.x
	fmt.Fprintf(x, "      time: A %s, B %s", durationText(a.End.Sub(a.Start)), durationText(b.End.Sub(b.Start)))
	if !a.Response.IsZero() && !b.Response.IsZero() {
		fmt.Fprintf(x, "; to the response's fields: A %s, B %s", durationText(a.Response.Sub(a.Start)),
			durationText(b.Response.Sub(b.Start)))
	}
	x.put("\n")
}
