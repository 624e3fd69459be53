package hpackdec

import (
	"strconv"

	"golang.org/x/net/http2/hpack"
)

// State says how far a field is known.
type State uint8

// The states of a field, in the order of those of package capture.
const (
	Known   State = iota
	Unknown       // it was sent before the capture began, or cannot be decoded
	Tainted       // octets were lost before it, so that its index may mean another entry
)

// A Field is a line of a header section. With a state other than Known the name and value are what
// is known of them; a value that came as a literal is right in any case.
type Field struct {
	Name, Value string
	State       State
	Index       uint64 // the index (RFC 7541 §2.3.3) that the field or its name came with; 0: none
	NeverIndex  bool   // a literal that is never indexed (RFC 7541 §6.2.3)
}

// An Error says what is wrong with a block.
type Error struct {
	Offset int // of the octet in the block at which the wrong field begins
	Reason string

	// Harmless says that no rule of RFC 7541 is broken: only that not all is shown.
	Harmless bool
}

func (e *Error) Error() string {
	return "header block: " + e.Reason + ", at octet " + strconv.Itoa(e.Offset)
}

// DefaultTableSize is the size of a table until an update says otherwise, and the largest that an
// update may set until the other side has said otherwise (RFC 9113 §6.5.2).
const DefaultTableSize = 4096

// Options are those of a Decoder.
type Options struct {
	// StartMissing says that blocks may have come before the first.
	StartMissing bool

	// MaxOctets bounds the fields of a block that are returned, counted as RFC 9113 §6.5.2 says:
	// 32 octets a field beside its name and value. Default 1 MiB.
	MaxOctets int

	// Budget bounds the memory of tables; nil has MaxTableSize for this table alone.
	Budget *Budget
}

// A Decoder decodes the blocks of one direction of a connection.
type Decoder struct {
	table     table
	limit     uint64 // the largest size that an update may set
	limitSeen bool   // limit is known
	owed      bool   // the next block has to begin with an update, since the limit is below the table's size
	maxOctets int

	// Of the block that is decoded:
	block  []byte
	pos    int
	start  int // where the field begins
	fields []Field
	octets int
	err    *Error
}

// New returns a Decoder.
func New(o Options) *Decoder {
	d := &Decoder{limit: DefaultTableSize, limitSeen: !o.StartMissing, maxOctets: o.MaxOctets}
	if d.maxOctets <= 0 {
		d.maxOctets = 1 << 20
	}
	d.table.budget = o.Budget
	if d.table.budget == nil {
		d.table.budget = NewBudget(MaxTableSize)
	}
	d.table.max = DefaultTableSize
	if o.StartMissing {
		d.table.forget(Unknown)
	}
	return d
}

// SetLimit says that the sender of the blocks has acknowledged a SETTINGS_HEADER_TABLE_SIZE of n.
func (d *Decoder) SetLimit(n uint32) {
	d.limit, d.limitSeen = uint64(n), true
	d.owed = d.owed || d.table.behind == Known && d.table.size > d.limit // else the size is not certain
}

// Taint says that octets were lost, in which there may have been blocks: what older entries have
// as their index is not certain any more.
func (d *Decoder) Taint() {
	d.table.forget(Tainted)
	d.owed = false
}

// Tainted reports whether the table may have entries from before a loss.
func (d *Decoder) Tainted() bool { return d.table.behind == Tainted }

// Close gives the memory of the table back to the Budget.
func (d *Decoder) Close() { d.table.clear() }

// Decode decodes a whole block and appends its fields to the slice, which it returns. An error is
// an *Error, the first of the block; the fields are those that could be decoded all the same.
func (d *Decoder) Decode(block []byte, to []Field) ([]Field, error) {
	d.block, d.pos, d.start, d.fields, d.octets, d.err = block, 0, 0, to, 0, nil
	if d.owed && len(block) > 0 && block[0]&0xe0 != 0x20 { // RFC 9113 §4.3.1
		d.fail("no dynamic table size update, though SETTINGS_HEADER_TABLE_SIZE was lowered to " +
			strconv.FormatUint(d.limit, 10))
		d.owed = false
	}
	for fields := 0; d.pos < len(block); {
		d.start = d.pos
		b := block[d.pos]
		ok := true
		switch {
		case b&0x80 != 0:
			ok = d.indexed()
		case b&0xc0 == 0x40:
			ok = d.literal(6, true, false)
		case b&0xe0 == 0x20:
			ok = d.update(fields > 0)
			fields-- // it is none
		default:
			ok = d.literal(4, false, b&0x10 != 0)
		}
		if !ok {
			d.Taint()
			break
		}
		fields++
	}
	to, d.block, d.fields = d.fields, nil, nil
	if d.err != nil {
		return to, d.err
	}
	return to, nil
}

// fail notes the first error of a block.
func (d *Decoder) fail(reason string) {
	if d.err == nil || d.err.Harmless {
		d.err = &Error{Offset: d.start, Reason: reason}
	}
}

// emit appends a field, within the bounds.
func (d *Decoder) emit(f Field) {
	if d.octets > d.maxOctets {
		return
	}
	d.octets += len(f.Name) + len(f.Value) + entryOverhead
	if d.octets > d.maxOctets {
		if d.err == nil {
			d.fail("more than " + strconv.Itoa(d.maxOctets) + " octets of fields, of which the rest is not shown")
			d.err.Harmless = true
		}
		return
	}
	d.fields = append(d.fields, f)
}

// indexed decodes an indexed field (RFC 7541 §6.1). Like literal and update, it reports whether
// the place of the next field is known.
func (d *Decoder) indexed() bool {
	i, ok := d.integer(7)
	if !ok {
		return false
	}
	e := d.lookup(i)
	f := Field{Name: e.name, Value: e.value, State: e.state}
	if e.state != Known {
		f.Index = i
	}
	d.emit(f)
	return true
}

// literal decodes a literal field (RFC 7541 §6.2), whose index has so many bits of prefix.
func (d *Decoder) literal(prefix uint8, add, never bool) bool {
	i, ok := d.integer(prefix)
	if !ok {
		return false
	}
	f := Field{NeverIndex: never}
	if i == 0 {
		if f.Name, ok = d.text(&f); !ok {
			return false
		}
	} else {
		e := d.lookup(i)
		if f.Name, f.State = e.name, e.nameState; f.State != Known {
			f.Index = i
		}
	}
	name := f.State
	if f.Value, ok = d.text(&f); !ok {
		return false
	}
	if add {
		d.table.add(entry{name: f.Name, value: f.Value, state: f.State, nameState: name})
	}
	d.emit(f)
	return true
}

// update decodes a dynamic table size update (RFC 7541 §6.3).
func (d *Decoder) update(late bool) bool {
	n, ok := d.integer(5)
	if !ok {
		return false
	}
	if late {
		d.fail("dynamic table size update behind a field")
	}
	if d.limitSeen && n > d.limit {
		d.fail("dynamic table size update to " + strconv.FormatUint(n, 10) +
			", above the SETTINGS_HEADER_TABLE_SIZE of " + strconv.FormatUint(d.limit, 10))
	}
	d.table.resize(n)
	d.owed = false
	return true
}

// lookup returns the entry of an index. Where there can be none, the entry is Unknown.
func (d *Decoder) lookup(i uint64) entry {
	if i == 0 {
		d.fail("index 0")
		return entry{state: Unknown, nameState: Unknown}
	}
	if i <= lastStatic {
		return staticTable[i]
	}
	e, ok := d.table.at(i - lastStatic)
	if !ok {
		d.fail("index " + strconv.FormatUint(i, 10) + " is behind the end of the table")
	}
	return e
}

// maxInteger is the largest integer that is taken; nothing in HPACK needs more.
const maxInteger = 1<<32 - 1

// integer decodes an integer whose first octet has so many bits of it (RFC 7541 §5.1).
func (d *Decoder) integer(prefix uint8) (uint64, bool) {
	mask := uint64(1)<<prefix - 1
	n := uint64(d.block[d.pos]) & mask
	d.pos++
	if n < mask {
		return n, true
	}
	for shift := uint(0); ; shift += 7 {
		if d.pos == len(d.block) {
			d.fail("the block ends within an integer")
			return 0, false
		}
		b := d.block[d.pos]
		d.pos++
		if shift < 35 {
			n += uint64(b&0x7f) << shift
		}
		if n > maxInteger || shift >= 35 && b != 0x80 && b != 0 {
			d.fail("integer above 2^32-1")
			return 0, false
		}
		if b&0x80 == 0 {
			return n, true
		}
	}
}

// text decodes a string literal (RFC 7541 §5.2). One that Huffman cannot decode makes f Unknown.
func (d *Decoder) text(f *Field) (string, bool) {
	if d.pos == len(d.block) {
		d.fail("the block ends within a field")
		return "", false
	}
	huffman := d.block[d.pos]&0x80 != 0
	n, ok := d.integer(7)
	if !ok {
		return "", false
	}
	if n > uint64(len(d.block)-d.pos) {
		d.fail("string of " + strconv.FormatUint(n, 10) + " octets where " +
			strconv.Itoa(len(d.block)-d.pos) + " are left")
		return "", false
	}
	p := d.block[d.pos:][:n]
	d.pos += int(n)
	if !huffman {
		return string(p), true
	}
	s, err := hpack.HuffmanDecodeToString(p)
	if err != nil {
		d.fail("string is not valid Huffman code")
		f.State = Unknown
		return "", true
	}
	return s, true
}
