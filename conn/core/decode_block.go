package core

import "github.com/sluice-go/sluice/frame"

// blockDecoder turns header blocks into Messages: it decodes HPACK (RFC 7541), applies the limits while doing so,
// and judges each field once. The reader of the connection owns it; there is no lock.
//
// It is not x/net's decoder, for three reasons. What it knows of a field stays in the table beside the field, so that
// a request that comes as five indexed fields is neither looked up nor judged again. A string that is over the limits
// is skipped without being held, and costs the message, not the connection. And a block that arrives in drips costs
// time linear in its length.
//
// Memory is bounded by the limits: an incomplete field is held only up to the longer of the list limit and four times
// the table size. A longer string than that cannot be an entry of the table even where Huffman coding stretched it,
// so the state of the compression does not depend on its octets, and they are not looked at.
type blockDecoder struct {
	table      decoderTable
	allowed    uint32 // what a size update may set
	mustUpdate bool   // the next block must begin with a size update to
	updateMost uint32 // no more than this

	maxOctets uint64 // of a header list, as RFC 9113 §6.5.2 counts
	maxFields int

	// The block under way.
	started    bool // a field has been seen: no size update may follow
	octetsLeft uint64
	linesLeft  int
	m          Message
	crumbs     []string // cookies beyond the first
	cookie     int      // 1 + the index of the first cookie in m.Fields

	joined string // the cookies of the block before, as a client tends to send the same again

	held    []byte // the beginning of an incomplete representation
	want    int    // held must be this long before it is worth another look
	skip    int    // octets of a string to drop
	skipNow skipping

	scratch []byte // decoded strings on their way to memory of their own
	err     error  // sticky: after it the tables of the two sides differ
}

// skipping says what follows the octets that are being skipped.
type skipping uint8

const (
	skipNothing skipping = iota
	skipName             // a value, to be skipped too
	skipValue            // the next field
)

const (
	initialTableSize = 4096    // RFC 9113 §6.5.2
	maxHeldString    = 1 << 30 // whatever the limits say
	keptScratch      = 512     // octets of buffers that outlive a block
	keptFields       = 64      // likewise, fields
	keptCookies      = 2048    // likewise, octets of joined cookies
)

// newBlockDecoder returns a decoder for a peer that has not yet acknowledged a SETTINGS_HEADER_TABLE_SIZE of
// tableSize, as it will with setTableSize. A header list has at most maxListBytes octets as counted by
// RFC 9113 §6.5.2, and at most maxFields field lines, among which pseudo-header fields and cookie crumbs count.
func newBlockDecoder(tableSize, maxListBytes uint32, maxFields int) *blockDecoder {
	d := &blockDecoder{
		allowed:   max(tableSize, initialTableSize),
		maxOctets: uint64(maxListBytes),
		maxFields: maxFields,
	}
	d.table.max = initialTableSize
	d.reset(nil)
	return d
}

// setTableSize says that the peer has acknowledged a SETTINGS_HEADER_TABLE_SIZE of n. If that is less than what the
// peer's encoder may be using, its next block must begin by saying so (RFC 9113 §4.3.1, RFC 7541 §4.2).
func (d *blockDecoder) setTableSize(n uint32) {
	d.allowed = n
	if uint64(n) >= d.table.max {
		return // an earlier, deeper cut stays in force
	}
	if !d.mustUpdate || n < d.updateMost {
		d.mustUpdate, d.updateMost = true, n
	}
}

// write takes the next fragment of the block; it is not needed after the call. An error is a *frame.ConnError with
// the code COMPRESSION_ERROR.
func (d *blockDecoder) write(p []byte) error {
	if d.err != nil {
		return d.err
	}
	if len(d.held) > 0 || d.skipNow != skipNothing {
		if p = d.resume(p); d.err != nil {
			return d.err
		}
	}
	n := d.decode(p)
	if n < len(p) && d.err == nil {
		d.held = append(d.held, p[n:]...)
	}
	return d.err
}

// finish ends the block and fills m, whose Fields serve as storage for a later block. It fails like write when the
// block ends within a field.
func (d *blockDecoder) finish(m *Message) error {
	if d.err == nil && (len(d.held) > 0 || d.skipNow != skipNothing) {
		d.fail("RFC 9113 §4.3", "header block ends within a field")
	}
	if d.err != nil {
		return d.err
	}
	if len(d.crumbs) > 0 {
		d.joinCookies()
	}
	storage := m.Fields
	*m = d.m
	d.reset(storage)
	return nil
}

// reset makes ready for the next block, with storage for its fields.
func (d *blockDecoder) reset(storage []Field) {
	clear(storage) // hold on to no string
	if cap(storage) > keptFields {
		storage = nil
	}
	d.m = Message{Fields: storage[:0], ContentLength: -1}
	d.started, d.cookie = false, 0
	d.octetsLeft, d.linesLeft = d.maxOctets, d.maxFields
	if cap(d.scratch) > keptScratch {
		d.scratch = nil
	}
	if cap(d.held) > keptScratch {
		d.held = nil
	}
}

func (d *blockDecoder) fail(section, reason string) {
	d.err = frame.NewConnError(frame.CompressionError, section, reason)
}

// decode takes whole representations off p and returns how many octets they had. It stops at one that is
// incomplete, having set d.want, or after setting d.err.
func (d *blockDecoder) decode(p []byte) int {
	i := 0
	for i < len(p) {
		b := p[i]
		if b&0x80 == 0 { // RFC 7541 §6.2, §6.3
			n := 0
			if b&0xe0 == 0x20 {
				n = d.sizeUpdate(p[i:])
			} else if d.begin() {
				n = d.literal(p[i:])
			}
			if n == 0 {
				return i
			}
			i += n
			continue
		}
		if !d.started && !d.begin() {
			return i
		}
		index, n := uint64(b&0x7f), 1 // RFC 7541 §6.1
		if index == 0x7f {
			if index, n = d.integer(p[i:], 0x7f); n == 0 {
				return i
			}
		}
		e := d.entry(index)
		if e == nil {
			return i
		}
		i += n
		d.emit(e, false)
	}
	return i
}

// begin is called before a field; it fails when a size update had to come first.
func (d *blockDecoder) begin() bool {
	if d.mustUpdate {
		d.fail("RFC 9113 §4.3.1", "header block does not begin with the dynamic table size update that is due")
		return false
	}
	d.started = true
	return true
}

// entry finds the entry of an index, or fails.
func (d *blockDecoder) entry(index uint64) *tableEntry {
	if index-1 < lastStatic {
		return &staticEntries[index]
	}
	e := d.table.at(index - lastStatic)
	if e == nil {
		d.fail("RFC 7541 §2.3.3", "index outside the tables")
		return nil
	}
	return e
}

// sizeUpdate handles a dynamic table size update (RFC 7541 §6.3). It returns its length, or 0 as decode.
func (d *blockDecoder) sizeUpdate(p []byte) int {
	if d.started {
		d.fail("RFC 7541 §4.2", "dynamic table size update behind a field")
		return 0
	}
	size, n := d.integer(p, 0x1f)
	switch {
	case n == 0:
		return 0
	case size > uint64(d.allowed):
		d.fail("RFC 7541 §6.3", "dynamic table size update above SETTINGS_HEADER_TABLE_SIZE")
		return 0
	case d.mustUpdate && size > uint64(d.updateMost):
		d.fail("RFC 9113 §4.3.1", "dynamic table size update above the reduced SETTINGS_HEADER_TABLE_SIZE")
		return 0
	}
	d.mustUpdate = false
	d.table.setMax(size)
	return n
}

// integer reads an integer with a prefix of the bits in mask (RFC 7541 §5.1) and returns its length, or 0 as decode.
// An integer of more than 31 bits, or of more octets than 32 bits need, is over our limits.
func (d *blockDecoder) integer(p []byte, mask byte) (uint64, int) {
	v := uint64(p[0] & mask)
	if v < uint64(mask) {
		return v, 1
	}
	for i := 1; i < len(p); i++ {
		v += uint64(p[i]&0x7f) << (7 * (i - 1))
		if p[i]&0x80 == 0 && v < 1<<31 {
			return v, i + 1
		}
		if i == 5 {
			break
		}
	}
	if len(p) > 5 || v >= 1<<31 {
		d.fail("RFC 7541 §5.1", "integer too large")
		return 0, 0
	}
	d.want = len(p) + 1
	return 0, 0
}
