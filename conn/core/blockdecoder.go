package core

import (
	"cmp"
	"math"

	"github.com/sluice-go/sluice/frame"
)

// BlockDecoder decodes the header blocks that one side of a connection sends, for programs that
// read frames with frame.Reader: proxies, loggers, tests. A Conn decodes for itself.
//
// All blocks of the connection must pass through it in order, since they share HPACK's table (RFC
// 7541 §2.2). It has no lock.
type BlockDecoder struct{ d *blockDecoder }

// NewBlockDecoder returns a decoder. tableSize is the SETTINGS_HEADER_TABLE_SIZE that the sender of
// the blocks is told, in octets; 0 is 4096. maxBytes bounds a decoded block, counted as RFC 9113
// §6.5.2 says, and maxFields its field lines, every crumb of a cookie counted; 0 is 1 MiB and 500,
// as on a server. Beyond them the rest of the block is decoded for the sake of the table only.
func NewBlockDecoder(tableSize, maxBytes uint32, maxFields int) *BlockDecoder {
	if maxFields <= 0 {
		maxFields = 500
	}
	maxBytes = min(cmp.Or(maxBytes, 1<<20), math.MaxInt32)
	return &BlockDecoder{newBlockDecoder(cmp.Or(tableSize, defaultTableSize), maxBytes, maxFields)}
}

// Decode decodes a whole header block into m. What m had before is lost; its Fields serve as
// memory. Where the block is over the bounds, m.TooLarge is true and m has the fields within them.
// The strings stay valid, Fields until the next Decode into m.
//
// An error is a *frame.ConnError of COMPRESSION_ERROR and stays: the tables of both sides differ
// from then on (RFC 9113 §4.3). That includes a block, or a string in it, of more than four times
// the larger of maxBytes and tableSize.
func (b *BlockDecoder) Decode(block []byte, m *Message) error {
	if err := b.d.write(block); err != nil {
		return err
	}
	return b.d.finish(m)
}

// SetTableSize says that the sender of the blocks has acknowledged a SETTINGS_HEADER_TABLE_SIZE of
// n. Where that is less than before, its next block must begin with a dynamic table size update
// (RFC 9113 §4.3.1).
func (b *BlockDecoder) SetTableSize(n uint32) { b.d.setTableSize(n) }

// CheckRequest returns a *frame.StreamError of PROTOCOL_ERROR where m is no well-formed head of a
// request (RFC 9113 §8.1.1, §8.3.1, §8.5). connectProtocol says that the receiver has sent
// SETTINGS_ENABLE_CONNECT_PROTOCOL, without which :protocol is malformed (RFC 8441 §3). Of a
// message that is TooLarge what is there is judged.
func (m *Message) CheckRequest(id uint32, connectProtocol bool) error {
	return malformed(id)(m.checkRequest(connectProtocol))
}

// CheckResponse is CheckRequest for the head of a response, interim or final (RFC 9113 §8.3.2).
func (m *Message) CheckResponse(id uint32) error { return malformed(id)(m.checkResponse()) }

// CheckTrailers is CheckRequest for the trailer section of a request or a response (RFC 9113 §8.1).
func (m *Message) CheckTrailers(id uint32) error { return malformed(id)(m.checkTrailers()) }

// malformed makes an error of what a check has found.
func malformed(id uint32) func(section, reason string) error {
	return func(section, reason string) error {
		if reason == "" {
			return nil
		}
		return frame.NewStreamError(id, frame.ProtocolError, section, reason)
	}
}
