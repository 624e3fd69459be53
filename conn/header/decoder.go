package header

import (
	"cmp"
	"errors"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// Decoder decodes header blocks into Messages. hpack.Decoder decodes the octets (RFC 7541), and
// each field is counted and validated as it comes out of it. A Decoder has no lock and one owner.
//
// A block is collected and then decoded at once. So a block that arrives in small pieces costs time
// linear in its length, and hpack.Decoder, which never frees its buffer, has none that grows with a
// block that the peer does not complete.
//
// Once a message is over its limits, the rest of the block is decoded only to keep the table in
// order; after Discard it is not even collected. A string longer than maxBlockSize, or a block of
// which more octets would have to be collected, is a COMPRESSION_ERROR (RFC 9113 §4.3).
type Decoder struct {
	hpack      *hpack.Decoder // nil before the first block, and while serialized has its table
	serialized string         // the table after Compact, as a block that restores it
	tableMax   uint32         // the size of the table in force
	allowed    uint32         // the largest size that a size update may set
	client     bool           // set by SetClient
	updateDue  bool           // the next block must begin with a size update, to updateMax or less
	updateMax  uint32         // the largest size that the size update that is due may set

	maxOctets uint64 // the limit of a header list, counted as RFC 9113 §6.5.2 says
	maxFields int    // the limit of field lines

	err error // the first error; it stays, since the tables of the two sides differ after it

	*decoderScratch // nil from Compact to the next block
}

// decoderScratch is the memory that decoding a block needs, and the caches for the next block.
type decoderScratch struct {
	block      []byte   // the octets collected of the block that is being received
	discarding *Message // the message of a block that is decoded as it arrives; nil while blocks are collected

	m          *Message // the message that is being decoded
	octetsLeft uint64   // octets that m may still have, counted as RFC 9113 §6.5.2 says
	linesLeft  int      // field lines that m may still have
	crumbs     []string // the cookies of m beyond the first
	cookie     int      // 1 + the index of the first cookie in m.Fields, 0 before it

	fieldCache []validatedField // the fields of the last blocks, by their place in the block
	joined     string           // the joined cookies of the block before: clients mostly send the same again
	blockCache decodedBlock     // the block before
}

// DefaultTableSize is the initial value of SETTINGS_HEADER_TABLE_SIZE (RFC 9113 §6.5.2), and the
// size of a table until its decoder has said otherwise.
const DefaultTableSize = 4096

const (
	// The memory that is kept from one block to the next.
	maxKeptBlock   = 1024     // octets of the buffer for blocks
	maxKeptFields  = 64       // fields of a Message, and cookie crumbs
	maxKeptCookies = 16 << 10 // octets of joined cookies
)

// NewDecoder returns a decoder. tableSize is the SETTINGS_HEADER_TABLE_SIZE that the sender of the
// blocks is told, in octets; less than 4096, and 0, is 4096 until SetTableSize, since the sender
// may use that much until it has acknowledged the setting. maxBytes bounds a decoded block, counted
// as RFC 9113 §6.5.2 says, and maxFields its field lines, pseudo-header fields and every crumb of
// a cookie counted; 0 is 1 MiB and 500, as on a server. Beyond them the rest of the block is
// decoded for the sake of the table only.
func NewDecoder(tableSize, maxBytes uint32, maxFields int) *Decoder {
	if maxFields <= 0 {
		maxFields = 500
	}
	return &Decoder{
		tableMax:       DefaultTableSize,
		allowed:        max(tableSize, DefaultTableSize),
		maxOctets:      uint64(cmp.Or(maxBytes, 1<<20)),
		maxFields:      maxFields,
		decoderScratch: new(decoderScratch),
	}
}

// SetClient says that the blocks are those of a server, decoded by a client, which takes more from
// it: whitespace at the ends of field values is cut off, and a string may have 16 MiB.
func (d *Decoder) SetClient() { d.client = true }

// Decode decodes a header block into m. block is the whole of it, or its last fragment where Write
// has collected others. What m had before is lost; its Fields serve as memory. Where the block is
// over the bounds, m.TooLarge is true and m has the fields within them. The strings stay valid,
// Fields until the next Decode into m.
//
// An error is a *frame.ConnError of COMPRESSION_ERROR and stays: the tables of both sides differ
// from then on (RFC 9113 §4.3). That includes a block, or a string in it, of more than four times
// the larger of maxBytes and tableSize; after SetClient it may have 16 MiB in any case.
func (d *Decoder) Decode(block []byte, m *Message) error {
	if d.decoderScratch != nil && len(d.block) == 0 && d.isCached(block) {
		fields := append(m.emptyFields(), d.blockCache.msg.Fields...)
		*m = *d.blockCache.msg
		m.Fields = fields
		return nil
	}
	if err := d.Write(block); err != nil {
		return err
	}
	if d.discarding != nil {
		return d.finishDiscarding(m)
	}
	again := d.cacheBlock()
	m.reset()
	d.begin(m)
	d.decode()
	d.m = nil
	if d.err != nil {
		return d.err
	}
	if again && d.blockCache.msg == nil {
		d.blockCache.store(m)
	}
	d.block = d.block[:0]
	if cap(d.block) > maxKeptBlock {
		d.block = nil
	}
	return nil
}

// maxBlockSize is how many octets a block, or a string in it once decoded, may have. It is so far
// above the limit of the header list that a peer that overlooks the limit still gets an answer, and
// above the size of any entry of the table.
func (d *Decoder) maxBlockSize() int {
	n := 4 * max(d.maxOctets, uint64(d.allowed))
	if d.client {
		n = max(n, clientBlockSize)
	}
	return int(min(n, 1<<30))
}

// clientBlockSize is the least maxBlockSize of a client, whatever its limit of header sections is,
// so that a response over the limit does not end the other responses of the connection.
const clientBlockSize = 16 << 20

// SetTableSize says that the peer has acknowledged a SETTINGS_HEADER_TABLE_SIZE of n. If that is
// less than the size that the peer's encoder may be using, its next block must begin with a dynamic
// table size update (RFC 9113 §4.3.1, RFC 7541 §4.2).
func (d *Decoder) SetTableSize(n uint32) {
	d.allowed = n
	if d.hpack != nil {
		d.hpack.SetAllowedMaxDynamicTableSize(n)
		d.hpack.SetMaxStringLength(d.maxBlockSize())
	}
	if n >= d.tableMax {
		return // the bound of an update that is due already stays
	}
	if !d.updateDue || n < d.updateMax {
		d.updateDue, d.updateMax = true, n
	}
}

// Write collects a fragment of a block before the last, with which Decode is called; p may be
// changed after the call. An error is as that of Decode.
func (d *Decoder) Write(p []byte) error {
	if d.decoderScratch == nil {
		d.decoderScratch = new(decoderScratch)
	}
	if d.err == nil && len(p) > d.maxBlockSize()-len(d.block) {
		d.fail("RFC 9113 §4.3", "header block too long", nil)
	}
	if d.err != nil {
		d.Drop()
		return d.err
	}
	d.block = append(d.block, p...)
	return nil
}

// Drop frees the memory of a block of which nothing more will be decoded.
func (d *Decoder) Drop() {
	if d.decoderScratch != nil {
		d.block = nil
	}
}

// discardStep is how many octets of a block Discard decodes at once: hpack.Decoder copies a string
// that is not complete with each call.
const discardStep = 1 << 20

// Discard decodes and drops the collected octets of a block that is far over the limits of a
// message. It is to be called before each further Write, and before Decode, which then gives the
// first fields of the block, as a message that is TooLarge.
func (d *Decoder) Discard() error { return d.discardFrom(discardStep) }

// discardFrom does the work of Discard. The first call for a block decodes what is collected,
// however little; a later one does nothing before least octets are.
func (d *Decoder) discardFrom(least int) error {
	if d.decoderScratch == nil || d.err != nil || d.discarding != nil && len(d.block) < least {
		return d.err
	}
	if d.discarding == nil {
		d.discarding = new(Message)
		d.begin(d.discarding)
		if d.prepare(); len(d.block) > 0 {
			d.block = d.sizeUpdates(d.block)
		}
		d.m.TooLarge = true
	}
	if d.err == nil && len(d.block) > 0 {
		d.decodePart(d.block)
	}
	d.block = nil
	return d.err
}

// finishDiscarding ends a block of which Discard has decoded the beginning.
func (d *Decoder) finishDiscarding(m *Message) error {
	if err := d.discardFrom(0); err != nil {
		return err
	}
	d.closeBlock()
	fields := m.emptyFields()
	*m, d.discarding, d.m = *d.discarding, nil, nil
	m.Fields = append(fields, m.Fields...)
	d.blockCache.octets, d.blockCache.msg = d.blockCache.octets[:0], nil
	return d.err
}

func (d *Decoder) fail(section, reason string, cause error) {
	err := frame.NewConnError(frame.CompressionError, section, reason)
	err.Cause = cause
	d.err = err
}

// begin makes m the message that is being decoded.
func (d *Decoder) begin(m *Message) {
	d.m = m
	m.ContentLength = -1
	d.cookie, d.octetsLeft, d.linesLeft = 0, d.maxOctets, d.maxFields
}

func (d *Decoder) decode() {
	if len(d.block) == 0 {
		return
	}
	d.prepare()
	p := d.sizeUpdates(d.block)
	if d.err != nil || len(p) == 0 {
		return
	}
	d.decodePart(p)
	if d.err == nil {
		d.closeBlock()
	}
}

// prepare makes the hpack.Decoder where there is none.
func (d *Decoder) prepare() {
	if d.hpack == nil {
		d.hpack = hpack.NewDecoder(d.tableMax, d.emit)
		d.hpack.SetAllowedMaxDynamicTableSize(d.allowed)
		d.hpack.SetMaxStringLength(d.maxBlockSize())
		d.restoreTable()
	}
}

// decodePart decodes p, behind the size updates at the head of the block.
func (d *Decoder) decodePart(p []byte) {
	if d.updateDue {
		d.fail("RFC 9113 §4.3.1", "header block does not begin with the dynamic table size update that is due", nil)
		return
	}
	if _, err := d.hpack.Write(p); err != nil {
		d.failDecoding(err)
	}
}

// closeBlock ends a block whose octets are decoded.
func (d *Decoder) closeBlock() {
	if err := d.hpack.Close(); err != nil {
		d.fail("RFC 9113 §4.3", "header block ends within a field", err)
		return
	}
	if d.m.TooLarge {
		d.hpack.SetEmitEnabled(true)
	}
	if len(d.crumbs) > 0 {
		d.joinCookies()
	}
}

func (d *Decoder) failDecoding(err error) {
	var index hpack.InvalidIndexError
	var decoding hpack.DecodingError
	switch {
	case errors.Is(err, hpack.ErrStringLength):
		d.fail("RFC 9113 §4.3", "field too long", err)
	case errors.Is(err, hpack.ErrInvalidHuffman):
		d.fail("RFC 7541 §5.2", "invalid Huffman code", err)
	case errors.As(err, &decoding) && errors.As(decoding.Err, &index):
		d.fail("RFC 7541 §2.3.3", "index outside the tables", err)
	default:
		d.fail("RFC 7541 §3", "invalid header block", err)
	}
}

// sizeUpdates handles the dynamic table size updates at the head of p and returns the rest (RFC
// 7541 §4.2, §6.3). hpack.Decoder does not know that one can be due, and refuses the second of
// two where the RFC asks for both.
func (d *Decoder) sizeUpdates(p []byte) []byte {
	for len(p) > 0 && p[0]&0xe0 == 0x20 {
		size, n := readInteger(p, 5)
		switch {
		case n == 0:
			d.fail("RFC 7541 §5.1", "invalid integer in a dynamic table size update", nil)
			return nil
		case size > uint64(d.allowed):
			d.fail("RFC 7541 §6.3", "dynamic table size update above SETTINGS_HEADER_TABLE_SIZE", nil)
			return nil
		case d.updateDue && size > uint64(d.updateMax):
			d.fail("RFC 9113 §4.3.1", "dynamic table size update above the reduced SETTINGS_HEADER_TABLE_SIZE", nil)
			return nil
		}
		d.updateDue = false
		d.tableMax = uint32(size)
		d.hpack.SetMaxDynamicTableSize(d.tableMax)
		p = p[n:]
	}
	return p
}
