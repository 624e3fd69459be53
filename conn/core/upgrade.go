package core

import (
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/stream"
	"github.com/sluice-go/sluice/stream/priority"
)

// Upgrade takes over an HTTP/1.1 request with "Upgrade: h2c" (RFC 7540 §3.2): settings is the
// decoded value of its HTTP2-Settings field, and request becomes stream 1, half-closed (remote).
// Upgrade is to be called after Start; the client's preface follows. Server only.
func (c *Conn) Upgrade(settings []byte, request header.Message) error {
	if c.connErr != nil {
		return c.connErr
	}
	f, err := frame.ParseSettings(frame.Header{Length: uint32(len(settings)), Type: frame.TypeSettings}, settings)
	if err != nil {
		return err
	}
	if err := c.applySettings(&f); err != nil {
		return err
	}
	if err := c.streams.ids.Accept(1); err != nil {
		return err
	}
	var p priority.Params
	for i := range request.Fields {
		if request.Fields[i].Name == "priority" {
			stated, _ := priority.Parse(request.Fields[i].Value)
			stated.Pack().Apply(&p)
		}
	}
	s := c.newStream(1, p)
	s.Head, s.headRecv = request, true
	c.mustTransition(s, stream.RecvHeaders)
	c.mustTransition(s, stream.RecvEndStream)
	c.emitEvent(Event{Kind: EventHeaders, Stream: s, End: true})
	return nil
}
