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
	o := newObject(make([]byte, 0, 1<<10))
	o.str("kind", "content")
	o.num("conn", int64(c.Conn))
	o.time("time", c.Time)
	o.num("stream", int64(c.Stream))
	o.str("dir", c.Dir.String())
	o.octetsIf("content_type", c.Type)
	o.texts("codings", c.Codings)
	o.num("sent", c.Sent)
	if c.Err != nil {
		o.octets("error", c.Err.Error())
	}
	if len(c.Octets) <= jsonPiece {
		o.content(c.Octets)
		_, err := w.Write(o.end())
		return err
	}
	o.num("length", int64(len(c.Octets)))
	var err error
	if utf8.Valid(c.Octets) {
		o.key("text")
		err = writeTextJSON(w, append(o.b, '"'), c.Octets)
	} else {
		o.key("base64")
		err = writeBase64(w, append(o.b, '"'), c.Octets)
	}
	if err == nil {
		_, err = io.WriteString(w, `"}`)
	}
	return err
}

// writeTextJSON writes b, and behind it the escaped octets of a text. b is used for the pieces.
func writeTextJSON(w io.Writer, b, text []byte) error {
	for len(text) > 0 {
		n := min(len(text), jsonPiece)
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		b = appendText(b, string(text[:n]))
		if _, err := w.Write(b); err != nil {
			return err
		}
		b, text = b[:0], text[n:]
	}
	return nil
}

// writeBase64 writes b, and behind it octets in base64.
func writeBase64(w io.Writer, b, octets []byte) error {
	if _, err := w.Write(b); err != nil {
		return err
	}
	enc := base64.NewEncoder(base64.StdEncoding, w)
	if _, err := enc.Write(octets); err != nil {
		return err
	}
	return enc.Close()
}
