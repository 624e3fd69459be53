package inspect

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/sluice-go/sluice/capture"
)

// maxKeptContent bounds the octets of content that wait for the end of their exchange. A message of
// gRPC counts for messageOverhead more, which is the memory that it takes beside them.
const (
	maxKeptContent  = 4 << 20
	messageOverhead = 64
)

var errNotKept = errors.New("too much content waits for the end of its exchange: the rest is not kept")

// exchangesAsHTTP1 writes requests and responses in the form of HTTP/1.1, when they are over.
type exchangesAsHTTP1 struct {
	w       io.Writer
	decoder *capture.ContentDecoder // nil without --bodies
	content map[conn]*[2]*capture.Content
	kept    int // octets
	err     error
}

// newHTTP1 returns a writer of exchanges, with their content or without.
func newHTTP1(w io.Writer, bodies bool) *exchangesAsHTTP1 {
	x := &exchangesAsHTTP1{w: w, content: map[conn]*[2]*capture.Content{}}
	if bodies {
		x.decoder = &capture.ContentDecoder{Handler: x.keep}
	}
	return x
}

// event is a capture.Handler.
func (x *exchangesAsHTTP1) event(e capture.Event) {
	if x.decoder != nil {
		x.decoder.Event(e)
	}
	switch e := e.(type) {
	case *capture.Request:
		x.write(e)
	case *capture.End: // what has content and no request
		for c := range x.content {
			if c.id == e.Conn {
				x.take(c)
			}
		}
	}
}

// keep keeps the content of a message.
func (x *exchangesAsHTTP1) keep(c *capture.Content) {
	content := *c
	if len(c.Messages) > 0 { // they are shown in place of the octets
		list := c.Messages
		if room := (maxKeptContent - x.kept) / messageOverhead; len(list) > room {
			list, content.Err = list[:room], errNotKept
		}
		x.kept += len(list) * messageOverhead
		content.Octets, content.Messages = nil, slices.Clone(list)
		for i := range content.Messages {
			m := &content.Messages[i]
			m.Octets, m.Err = x.keepOctets(m.Octets, m.Err)
		}
	} else {
		content.Octets, content.Err = x.keepOctets(c.Octets, c.Err)
	}
	key := conn{c.Conn, c.Stream}
	if x.content[key] == nil {
		x.content[key] = &[2]*capture.Content{}
	}
	x.content[key][c.Dir] = &content
}

// keepOctets returns a copy of the octets that there is room for, and err or why they are less.
func (x *exchangesAsHTTP1) keepOctets(p []byte, err error) ([]byte, error) {
	if room := maxKeptContent - x.kept; len(p) > room {
		p, err = p[:room], errNotKept
	}
	x.kept += len(p)
	return bytes.Clone(p), err
}

// take returns the content of an exchange, and forgets it.
func (x *exchangesAsHTTP1) take(key conn) (content [2]*capture.Content) {
	if kept := x.content[key]; kept != nil {
		content = *kept
		delete(x.content, key)
	}
	for _, c := range content {
		if c != nil {
			x.kept -= len(c.Octets) + len(c.Messages)*messageOverhead
			for i := range c.Messages {
				x.kept -= len(c.Messages[i].Octets)
			}
		}
	}
	return content
}

// write writes an exchange, behind a line that names it.
func (x *exchangesAsHTTP1) write(e *capture.Request) {
	content := x.take(conn{e.Conn, e.Stream})
	if x.err != nil {
		return
	}
	if _, x.err = x.w.Write(exchangeHead(e)); x.err == nil {
		x.err = e.WriteHTTP1(x.w, content)
	}
}

// exchangeHead is the line above an exchange.
func exchangeHead(e *capture.Request) []byte {
	b := []byte("# connection ")
	b = strconv.AppendUint(b, e.Conn, 10)
	b = append(b, ", stream "...)
	b = strconv.AppendUint(b, uint64(e.Stream), 10)
	b = append(b, ", "...)
	b = e.Start.UTC().AppendFormat(b, "2006-01-02 15:04:05.000000 UTC")
	if !e.End.IsZero() {
		b = append(b, ", "...)
		b = append(b, durationText(e.End.Sub(e.Start))...)
	}
	return append(b, '\n')
}
