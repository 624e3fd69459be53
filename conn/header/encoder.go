package header

import "golang.org/x/net/http2/hpack"

// Encoder appends header blocks in HPACK (RFC 7541). Whoever holds the lock of the connection
// may use it.
//
// A field that is whole in the static table, or should stay out of the dynamic one (see indexing), is
// appended at once. The others go to hpack.Encoder, or come from a memo of what it last made of
// them.
//
// It does not judge fields: names have to be valid and in lowercase, values valid, pseudo-header
// fields in front.
type Encoder struct {
	cap    uint32 // we use no more than this, whatever the peer allows
	peer   uint32 // the peer's SETTINGS_HEADER_TABLE_SIZE
	size   uint32 // of the table in force
	low    uint32 // the least size since the last block
	update bool   // the next block begins with a size update

	*encoderScratch // nil while no block is sent: see trim
}

// encoderScratch is the table, and what spares work for the next block.
type encoderScratch struct {
	hpack *hpack.Encoder // nil until a field is to enter the dynamic table
	out   sliceWriter    // where hpack writes

	memo []indexedField // what was indexed in the last blocks, by name; none or a power of two
	gen  uint32         // of the entries of memo that hold: it changes with the table

	date    [29]byte // the last value of date
	dateLen int

	last    lastEncoded
	changed bool // by the block under way: its fields would be written otherwise if they came again
}

// indexedField is a field that is in the dynamic table, and how it is written as long as nothing
// enters the table.
type indexedField struct {
	name, value string
	gen         uint32
	repr        [3]byte
	n           uint8 // octets of repr
}

// NewEncoder returns an encoder whose dynamic table takes up to maxTableSize octets of the
// peer's memory and of ours, as RFC 7541 §4.1 counts.
func NewEncoder(maxTableSize uint32) *Encoder {
	return &Encoder{
		cap: maxTableSize, peer: DefaultTableSize, size: min(maxTableSize, DefaultTableSize),
		encoderScratch: &encoderScratch{gen: 1},
	}
}

// setPeerTableSize says that the peer's SETTINGS_HEADER_TABLE_SIZE is n from the next block on.
//
// The next block announces the size that we then use (RFC 7541 §4.2): when it changes, and whenever
// n is less than before, as the peer may wait for that (RFC 9113 §4.3.1).
func (e *Encoder) SetPeerTableSize(n uint32) {
	size := min(n, e.cap)
	if n >= e.peer && size == e.size {
		e.peer = n
		return
	}
	if !e.update {
		e.low = size
	}
	e.low = min(e.low, size)
	if e.low < size {
		// The next block says both (RFC 7541 §4.2). The decoder of x/net takes a second size update
		// only for an empty table, and none can object to less than the least size.
		e.low = 0
	}
	e.update, e.peer, e.size = true, n, size
	if e.encoderScratch == nil {
		return
	}
	e.last.forget()
	if e.hpack != nil {
		e.hpack.SetMaxDynamicTableSize(e.low)
		e.hpack.SetMaxDynamicTableSize(size)
		e.settle()
	}
}

// append appends a whole block with the given fields to b. The encoder may keep their strings, but
// not fields.
func (e *Encoder) Append(b []byte, fields []Field) []byte {
	if e.encoderScratch == nil {
		e.encoderScratch = &encoderScratch{gen: 1}
	}
	if e.last.is(fields) {
		return append(b, e.last.octets...)
	}
	start := len(b)
	e.changed = e.update
	if e.update {
		e.update = false
		if e.low < e.size {
			b = appendInteger(b, 0x20, 5, e.low)
		}
		b = appendInteger(b, 0x20, 5, e.size)
	}
	for i := range fields {
		b = e.appendField(b, &fields[i])
	}
	if e.changed {
		e.last.forget()
	} else {
		e.last.note(b[start:], fields)
	}
	return b
}

// First octets of representations (RFC 7541 §6). The number is the bits of the integer that they
// begin.
const (
	reprIndexed     = 0x80 // 7
	reprIncremental = 0x40 // 6
	reprNever       = 0x10 // 4
	reprPlain       = 0x00 // 4
)

// shortCookie is the length below which a cookie is not indexed: whoever can make a client send
// cookies of their choice could guess it by what compresses well (RFC 7541 §7.1.3).
const shortCookie = 20

func (e *Encoder) appendField(b []byte, f *Field) []byte {
	if len(e.memo) > 0 && f.Name != "" {
		at := e.memoSlot(f.Name)
		for i := range uint32(memoWays) {
			m := &e.memo[at^i]
			if m.gen == e.gen && m.name == f.Name && m.value == f.Value && !f.Sensitive {
				return append(b, m.repr[:m.n]...)
			}
		}
	}
	known := lookup(f.Name)
	if f.Sensitive {
		return appendLiteral(b, reprNever, known.first, f)
	}
	for i := known.first; i != 0 && i <= known.last; i++ {
		if staticTable[i].value == f.Value {
			return append(b, reprIndexed|i)
		}
	}
	switch known.indexing {
	case indexAlways:
	case indexNot:
		return appendLiteral(b, reprPlain, known.first, f)
	case indexNever:
		return appendLiteral(b, reprNever, known.first, f)
	case indexLong:
		if len(f.Value) < shortCookie {
			return appendLiteral(b, reprNever, known.first, f)
		}
	case indexRepeated:
		if !e.repeated(f.Value) {
			return appendLiteral(b, reprPlain, known.first, f)
		}
	}
	if fieldSize(f.Name, f.Value) > uint64(e.size)*3/4 {
		return appendLiteral(b, reprPlain, known.first, f) // it would push out nearly everything else
	}
	return e.appendIndexed(b, f)
}

// repeated tells whether value is that of the date field before.
func (e *Encoder) repeated(value string) bool {
	if value == string(e.date[:e.dateLen]) {
		return true
	}
	e.dateLen, e.changed = 0, true
	if len(value) <= len(e.date) {
		e.dateLen = copy(e.date[:], value)
	}
	return false
}

// appendIndexed appends a field that is in the dynamic table or shall enter it.
func (e *Encoder) appendIndexed(b []byte, f *Field) []byte {
	if e.hpack == nil {
		e.hpack = hpack.NewEncoder(&e.out)
		e.hpack.SetMaxDynamicTableSizeLimit(e.cap)
		e.hpack.SetMaxDynamicTableSize(e.size)
		e.settle()
	}
	start := len(b)
	e.out.b = b
	_ = e.hpack.WriteField(*f) // fails only where sliceWriter does
	b, e.out.b = e.out.b, nil
	if b[start]&reprIndexed == 0 {
		e.forget() // a new entry: all the others have moved on
		return b
	}
	e.remember(f, b[start:])
	return b
}

// The memo is a hash table, by name as the fields of an http.Header come in any order. It grows
// while it is too small for the fields of a connection's messages; a connection with few has a
// small one.
const (
	minMemoSlots = 8
	maxMemoSlots = 64
	memoWays     = 2 // places that a name can have: those whose indexes differ in the lowest bit
)

// memoSlot returns one of the places for a name, which is not empty.
func (e *Encoder) memoSlot(name string) uint32 {
	n := len(name)
	h := uint32(
		n,
	)*0x9e3779b1 + uint32(
		name[n/2],
	)*0x85ebca77 + uint32(
		name[n-1],
	)*0xc2b2ae3d + uint32(
		name[(n-1)/2],
	)*0x27d4eb2f
	if n > 1 {
		h += uint32(name[n-2]) * 0x165667b1
	}
	return (h ^ h>>15) % uint32(len(e.memo))
}

// forget makes the memo empty.
func (e *Encoder) forget() {
	e.changed = true
	if e.gen++; e.gen == 0 { // once in four billion times
		clear(e.memo)
		e.gen = 1
	}
}

func (e *Encoder) remember(f *Field, repr []byte) {
	if f.Name == "" || len(repr) > len(indexedField{}.repr) {
		return
	}
	if e.memo == nil {
		e.memo = make([]indexedField, minMemoSlots)
	}
	for {
		at := e.memoSlot(f.Name)
		m := &e.memo[at]
		if m.gen == e.gen {
			m = &e.memo[at^1]
		}
		if m.gen == e.gen {
			if len(e.memo) < maxMemoSlots {
				e.memo = make([]indexedField, 2*len(e.memo)) // what was in the old one comes again
				continue
			}
			m = &e.memo[at]
		}
		m.name, m.value, m.gen, m.n = f.Name, f.Value, e.gen, uint8(copy(m.repr[:], repr))
		return
	}
}

// settle makes hpack forget that it owes a size update, which it would write in front of its next
// field. We write our own, as that may not be the first field of the block.
func (e *Encoder) settle() {
	_ = e.hpack.WriteField(Field{Name: ":method", Value: "GET"}) // whole in the static table: changes nothing
	e.out.b = nil
	e.forget()
}

// sliceWriter appends what is written.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// appendLiteral appends a literal that does not enter the table, with the name from the static
// table when index is not 0.
func appendLiteral(b []byte, repr byte, index uint8, f *Field) []byte {
	b = appendInteger(b, repr, 4, uint32(index))
	if index == 0 {
		b = appendString(b, f.Name)
	}
	return appendString(b, f.Value)
}

// appendInteger appends an integer with a prefix of so many bits behind those of repr (RFC 7541
// §5.1).
func appendInteger(b []byte, repr byte, bits uint8, n uint32) []byte {
	most := uint32(1)<<bits - 1
	if n < most {
		return append(b, repr|byte(n))
	}
	b = append(b, repr|byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// minHuffman is the length from which a string is Huffman coded: below it there is an octet to win
// at most.
const minHuffman = 5

// appendString appends s, Huffman coded where that is shorter (RFC 7541 §5.2).
func appendString(b []byte, s string) []byte {
	if len(s) >= minHuffman {
		if n := hpack.HuffmanEncodeLength(s); n < uint64(len(s)) {
			b = appendInteger(b, 0x80, 7, uint32(n))
			return hpack.AppendHuffmanString(b, s)
		}
	}
	b = appendInteger(b, 0, 7, uint32(len(s)))
	return append(b, s...)
}
