package inspect

import (
	"bytes"
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-go/sluice/capture"
)

// content writes what a message carries, when it is over.
func (x *text) content(c *capture.Content) {
	arrow, s := x.side(c.Dir)
	x.line(c.Conn, c.Time, arrow, s)
	x.put("content        ")
	from := len(x.b)
	x.num(int64(c.Stream))
	x.right(from, 5)
	x.put("  " + countText(int64(len(c.Octets)), "octet"))
	if c.Type != "" {
		x.put(" of ")
		x.say(c.Type)
	}
	if len(c.Codings) > 0 {
		x.put(", sent as " + countText(c.Sent, "octet") + " with ")
		x.say(strings.Join(c.Codings, ", "))
	}
	if c.Err != nil {
		x.put("  ")
		x.b = x.colors.bad.add(x.b, escaped(c.Err.Error()))
	}
	x.put("\n")
	if len(c.Messages) == 0 {
		x.octets(c.Octets)
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		x.put(indent + "message " + strconv.Itoa(i+1) + ": " + countText(int64(len(m.Octets)), "octet"))
		if m.Compressed {
			x.put(", sent as " + countText(m.Sent, "octet") + " that are compressed")
		}
		if m.Err != nil {
			x.put("  ")
			x.b = x.colors.bad.add(x.b, escaped(m.Err.Error()))
		}
		x.put("\n")
		x.octets(m.Octets)
	}
	x.flush()
}

// octets writes content, where it is text, in lines.
func (x *text) octets(p []byte) {
	if !utf8.Valid(p) {
		x.put(indent + "| (no text)\n")
		return
	}
	for line := range bytes.Lines(p) {
		x.put(indent + "| ")
		x.sayLong(bytes.TrimRight(line, "\r\n"))
		x.put("\n")
	}
}

// sayLong appends text of a peer of any length, and writes what has been appended in pieces.
func (x *text) sayLong(p []byte) {
	const piece = 4 << 10
	for len(p) > 0 {
		n := min(len(p), piece)
		for n < len(p) && !utf8.RuneStart(p[n]) {
			n++
		}
		x.b = appendEscaped(x.b, p[:n])
		p = p[n:]
		if len(x.b) > piece {
			x.flush()
		}
	}
}

// messages writes how many messages of gRPC a side has sent, and how long the first ones are.
func (x *text) messages(g *capture.GRPC, d capture.Dir) {
	const shown = 3
	x.num(g.Count[d])
	sizes := g.Messages[d][:min(len(g.Messages[d]), shown)]
	if len(sizes) == 0 {
		return
	}
	for i, n := range sizes {
		x.put([]string{" (", ", "}[min(i, 1)])
		x.num(n)
	}
	if g.Count[d] > int64(len(sizes)) {
		x.put(", …")
	}
	x.put(" octets")
	if n := g.Compressed[d]; n > 0 {
		x.put("; ")
		x.num(n)
		x.put(" compressed: ")
		x.say(cmp.Or(g.Encoding[d], "unknown"))
	}
	x.put(")")
}
