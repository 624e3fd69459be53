// Package header makes messages of HTTP/2 from header blocks and header blocks from fields: HPACK
// (RFC 7541) and the rules of RFC 9113 §8 for the fields of a message. It is pure: octets in,
// messages out, without I/O, goroutines, clocks or locks.
//
// A [Decoder] decodes the header blocks that one side of a connection sends, into a [Message]. For
// a program that reads frames with frame.Reader, a proxy, a logger or a test, this is all:
//
//	d := header.NewDecoder(0, 64<<10, 100)
//	var m header.Message
//	err := d.Decode(block, &m)
//	…
//	err = m.CheckRequest(streamID, false)
//
// All blocks of a connection must pass through one Decoder, in order, since they share HPACK's
// table (RFC 7541 §2.2). An [Encoder] is the other direction. A core.Conn has one of each.
//
// [ByLower] and [ByKey] find a field name, in the spelling of HTTP/2 and in that of net/http's
// header maps, without allocation where the name is common or was seen before. These two may be
// called by any goroutine; all else has one owner.
package header
