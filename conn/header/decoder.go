package header

import (
	"cmp"
	"errors"

	"golang.org/x/net/http2/hpack"

	"github.com/sluice-go/sluice/frame"
)

// Decoder turns header blocks into Messages: hpack.Decoder decodes them (RFC 7541), and each
// field is counted and judged as it comes out. The reader of the connection owns it; there is no
// lock.
//
// A block is collected and then decoded at once, so that one that arrives in drips costs time
// linear in its length, and no buffer of hpack.Decoder, which it would keep for good, grows with
// what a peer leaves incomplete.
//
// Once a message is over its limits the rest of the block is decoded only for the sake of the
// table, and after discard not even collected. A string longer than mostHeld, or a block of which
// more would have to be held, is a COMPRESSION_ERROR: we do not decompress it (RFC 9113 §4.3).
type Decoder struct {
	hpack      *hpack.Decoder // nil before the first block, and while packed stands for it
	packed     string         // its table, as the block that makes it
	tableMax   uint32         // the size of the table in force
	allowed    uint32         // what a size update may set
	client     bool           // see clientHeld
	mustUpdate bool           // the next block must begin with a size update to
	updateMost uint32         // no more than this

	maxOctets uint64 // of a header list, as RFC 9113 §6.5.2 counts
	maxFields int

	err error // sticky: after it the tables of the two sides differ

	*decoderScratch // nil while no block comes: see trim
}

// decoderScratch is what a block needs, and what spares work for the next one.
type decoderScratch struct {
	block      []byte   // what has come of the block under way
	discarding *Message // of that block, which is decoded as it comes; nil while it is collected

	// The message under way.
	octetsLeft uint64
	linesLeft  int
	m          *Message
	crumbs     []string // cookies beyond the first
	cookie     int      // 1 + the index of the first cookie in m.Fields

	memo   []judgedField // what has been found of the fields of the last blocks, by their places in the block
	joined string        // the cookies of the block before, as a client tends to send the same again
	last   lastBlock
}

// DefaultTableSize is the initial value of SETTINGS_HEADER_TABLE_SIZE (RFC 9113 §6.5.2), and the
// size of a table until its decoder has said otherwise.
const DefaultTableSize = 4096

const (
	// What outlives a block, so that an idle connection holds little.
	keptOctets  = 1024     // of the buffer for blocks
	keptFields  = 64       // in a Message, and cookie crumbs
	keptCookies = 16 << 10 // octets of joined cookies
)

// NewDecoder returns a decoder. tableSize is the SETTINGS_HEADER_TABLE_SIZE that the sender of the
// blocks is told, in octets; less than 4096, and 0, is 4096 until SetTableSize, since the sender
// may use that much until it has acknowledged the setting. maxBytes bounds a decoded block, counted
// as RFC 9113 §6.5.2 says, and maxFields its field lines, pseudo-header fields and every crumb of a
// cookie counted; 0 is 1 MiB and 500, as on a server. Beyond them the rest of the block is decoded
// for the sake of the table only.
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

// Decode decodes a whole header block into m. What m had before is lost; its Fields serve as
// memory. Where the block is over the bounds, m.TooLarge is true and m has the fields within them.
// The strings stay valid, Fields until the next Decode into m.
//
// An error is a *frame.ConnError of COMPRESSION_ERROR and stays: the tables of both sides differ
// from then on (RFC 9113 §4.3). That includes a block, or a string in it, of more than four times
// the larger of maxBytes and tableSize.
func (d *Decoder) Decode(block []byte, m *Message) error {
	if err := d.Write(block); err != nil {
		return err
	}
	return d.Finish(m)
}

// mostHeld is how many octets a block, or a string in it once decoded, may have. It is so far above
// the limit of the header list that whoever overlooks that limit still gets an answer, and above
// all that can enter the table.
func (d *Decoder) mostHeld() int {
	n := 4 * max(d.maxOctets, uint64(d.allowed))
	if d.client {
		n = max(n, clientHeld)
	}
	return int(min(n, 1<<30))
}

// clientHeld is what a client takes in one string, whatever its limit of header sections is, so
// that a response over that limit costs the other responses of the connection nothing.
const clientHeld = 16 << 20

// setTableSize says that the peer has acknowledged a SETTINGS_HEADER_TABLE_SIZE of n. If that is
// less than what the peer's encoder may be using, its next block must begin by saying so (RFC 9113
// §4.3.1, RFC 7541 §4.2).
func (d *Decoder) SetTableSize(n uint32) {
	d.allowed = n
	if d.hpack != nil {
		d.hpack.SetAllowedMaxDynamicTableSize(n)
		d.hpack.SetMaxStringLength(d.mostHeld())
	}
	if n >= d.tableMax {
		return // an earlier, deeper cut stays in force
	}
	if !d.mustUpdate || n < d.updateMost {
		d.mustUpdate, d.updateMost = true, n
	}
}

// write takes the next fragment of the block; it is not needed after the call. An error is a
// *frame.ConnError with the code COMPRESSION_ERROR.
func (d *Decoder) Write(p []byte) error {
	if d.decoderScratch == nil {
		d.decoderScratch = new(decoderScratch)
	}
	if d.err == nil && len(p) > d.mostHeld()-len(d.block) {
		d.fail("RFC 9113 §4.3", "header block too long", nil)
	}
	if d.err != nil {
		d.Drop()
		return d.err
	}
	d.block = append(d.block, p...)
	return nil
}

// drop gives up the memory of a block that is not decoded any more.
func (d *Decoder) Drop() {
	if d.decoderScratch != nil {
		d.block = nil
	}
}

// discardedAtOnce is how much of a block is decoded at once after discard: hpack.Decoder copies a
// string that is not complete with each call.
const discardedAtOnce = 1 << 20

// Discard decodes what has come of a block that is far over the limits of a message, and drops it.
// Finish gives what the block began with, marked as too large. It may be called after each Write.
func (d *Decoder) Discard() error { return d.discardFrom(discardedAtOnce) }

// discardFrom is Discard once least octets have come.
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

// finishDiscarding ends a block of which discard has decoded the beginning.
func (d *Decoder) finishDiscarding(m *Message) error {
	if err := d.discardFrom(0); err != nil {
		return err
	}
	d.closeBlock()
	fields := m.storage()
	*m, d.discarding, d.m = *d.discarding, nil, nil
	m.Fields = append(fields, m.Fields...)
	d.last.octets, d.last.msg = d.last.octets[:0], nil
	return d.err
}

// finish ends the block, decodes it and fills m, whose Fields serve as storage for a later block.
// It fails like write when the block is not well-formed.
func (d *Decoder) Finish(m *Message) error {
	if d.err != nil {
		return d.err
	}
	if d.decoderScratch == nil {
		d.decoderScratch = new(decoderScratch) // the block is empty
	}
	if d.discarding != nil {
		return d.finishDiscarding(m)
	}
	if again := d.repeats(); again && d.last.msg != nil {
		d.last.recall(m)
	} else {
		m.blank()
		d.begin(m)
		d.decode()
		d.m = nil
		if d.err != nil {
			return d.err
		}
		if again {
			d.last.remember(m)
		}
	}
	d.block = d.block[:0]
	if cap(d.block) > keptOctets {
		d.block = nil
	}
	return nil
}

func (d *Decoder) fail(section, reason string, cause error) {
	err := frame.NewConnError(frame.CompressionError, section, reason)
	err.Cause = cause
	d.err = err
}

// begin has m be the message under way.
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

// prepare makes the decoder where there is none.
func (d *Decoder) prepare() {
	if d.hpack == nil {
		d.hpack = hpack.NewDecoder(d.tableMax, d.emit)
		d.hpack.SetAllowedMaxDynamicTableSize(d.allowed)
		d.hpack.SetMaxStringLength(d.mostHeld())
		d.unpack()
	}
}

// decodePart decodes p, behind the size updates at the head of the block.
func (d *Decoder) decodePart(p []byte) {
	if d.mustUpdate {
		d.fail("RFC 9113 §4.3.1", "header block does not begin with the dynamic table size update that is due", nil)
		return
	}
	if _, err := d.hpack.Write(p); err != nil {
		d.failDecoding(err)
	}
}

// closeBlock ends the block that was decoded.
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

// sizeUpdates takes the dynamic table size updates off the head of p (RFC 7541 §4.2, §6.3).
// hpack.Decoder does not know that one can be due, and refuses the second of two where the RFC asks
// for both.
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
		case d.mustUpdate && size > uint64(d.updateMost):
			d.fail("RFC 9113 §4.3.1", "dynamic table size update above the reduced SETTINGS_HEADER_TABLE_SIZE", nil)
			return nil
		}
		d.mustUpdate = false
		d.tableMax = uint32(size)
		d.hpack.SetMaxDynamicTableSize(d.tableMax)
		p = p[n:]
	}
	return p
}
