package capture

import (
	"encoding/base64"
	"io"
	"unicode/utf8"
)

// jsonPiece is how many octets of content become JSON at once, which needs up to six times that.
const jsonPiece = 16 << 10

// WriteJSON writes a content as one line of JSON, whose kind is "content", without an end of line.
// It is otherwise as AppendJSON. It keeps nothing of the line, which may be six times as long as
// the octets.
func (c *Content) WriteJSON(w io.Writer) error {
	j := contentJSON{jsonObject: newObject(make([]byte, 0, 1<<10)), w: w}
	j.str("kind", "content")
	j.num("conn", int64(c.Conn))
	j.time("time", c.Time)
	j.num("stream", int64(c.Stream))
	j.str("dir", c.Dir.String())
	j.octetsIf("content_type", c.Type)
	j.texts("codings", c.Codings)
	j.num("sent", c.Sent)
	if c.Err != nil {
		j.octets("error", c.Err.Error())
	}
	j.content(c.Octets)
	if len(c.Messages) > 0 {
		j.objects("messages", len(c.Messages), func(i int) { j.message(&c.Messages[i]) })
	}
	j.b = j.end()
	j.flush()
	return j.err
}

// contentJSON is an object that is written in pieces.
type contentJSON struct {
	*jsonObject
	w   io.Writer
	err error // of w, the first one
}

// flush writes what there is.
func (j *contentJSON) flush() {
	if j.err == nil {
		_, j.err = j.w.Write(j.b)
	}
	j.b = j.b[:0]
}

// message adds what a message of gRPC has.
func (j *contentJSON) message(m *GRPCMessage) {
	j.flag("compressed", m.Compressed)
	j.num("sent", m.Sent)
	if m.Err != nil {
		j.octets("error", m.Err.Error())
	}
	j.content(m.Octets)
}

// content adds octets: as text where they are text.
func (j *contentJSON) content(octets []byte) {
	if len(octets) <= jsonPiece {
		j.jsonObject.content(octets)
		if len(j.b) > jsonPiece {
			j.flush()
		}
		return
	}
	j.num("length", int64(len(octets)))
	if utf8.Valid(octets) {
		j.key("text")
		j.b = append(j.b, '"')
		j.text(octets)
	} else {
		j.key("base64")
		j.b = append(j.b, '"')
		j.base64(octets)
	}
	j.b = append(j.b, '"')
}

// text writes a text that is escaped.
func (j *contentJSON) text(text []byte) {
	for len(text) > 0 && j.err == nil {
		n := min(len(text), jsonPiece)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		j.b = appendText(j.b, string(text[:n]))
		text = text[n:]
		j.flush()
	}
}

// base64 writes octets in base64.
func (j *contentJSON) base64(octets []byte) {
	j.flush()
	if j.err != nil {
		return
	}
	enc := base64.NewEncoder(base64.StdEncoding, j.w)
	if _, j.err = enc.Write(octets); j.err == nil {
		j.err = enc.Close()
	}
}
