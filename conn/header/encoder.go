package header

import "golang.org/x/net/http2/hpack"

// Encoder appends header blocks in HPACK (RFC 7541). It has no lock and one owner.
//
// A field that is whole in the static table, or should stay out of the dynamic one (see indexing),
// is appended at once. The other fields go to hpack.Encoder, or come from a cache of its output.
//
// Fields are not validated: names have to be valid and in lower case, values valid, pseudo-header
// fields in front.
type Encoder struct {
	cap       uint32 // the largest size that we use, whatever the peer allows
	peer      uint32 // the peer's SETTINGS_HEADER_TABLE_SIZE
	size      uint32 // of the table in force
	minSize   uint32 // the least size since the last block
	updateDue bool   // the next block begins with a size update

	*encoderScratch // nil from Compact to the next block
}

// encoderScratch is the table, and the caches for the next block.
type encoderScratch struct {
	hpack *hpack.Encoder // nil until a field is to enter the dynamic table
	out   sliceWriter    // where hpack writes

	// fieldCache has fields of the last blocks that are in the dynamic table, by name. Its length is 0
	// or a power of two. An entry holds while its gen is that of the encoder, which changes with the
	// table.
	fieldCache []indexedField
	gen        uint32

	date    [29]byte // the value of the last date field
	dateLen int      // octets of date

	blockCache encodedBlock
	changed    bool // by the block under way: its fields would be written otherwise if they came again
}

// indexedField is a field that is in the dynamic table, with its representation, which holds until
// another field enters the table.
type indexedField struct {
	name, value string
	gen         uint32 // see Encoder.gen
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

// SetPeerTableSize says that the peer's SETTINGS_HEADER_TABLE_SIZE is n from the next block on.
//
// The next block begins with a size update (RFC 7541 §4.2) when the size that we use changes, and
// whenever n is less than before, as the peer may wait for that (RFC 9113 §4.3.1).
func (e *Encoder) SetPeerTableSize(n uint32) {
	size := min(n, e.cap)
	if n >= e.peer && size == e.size {
		e.peer = n
		return
	}
	if !e.updateDue {
		e.minSize = size
	}
	e.minSize = min(e.minSize, size)
	if e.minSize < size {
		// The next block has two size updates (RFC 7541 §4.2). The decoder of x/net takes a second
		// one only for an empty table, and a smaller first one is right for every decoder.
		e.minSize = 0
	}
	e.updateDue, e.peer, e.size = true, n, size
	if e.encoderScratch == nil {
		return
	}
	e.blockCache.reset()
	if e.hpack != nil {
		e.hpack.SetMaxDynamicTableSize(e.minSize)
		e.hpack.SetMaxDynamicTableSize(size)
		e.dropSizeUpdate()
	}
}

// Append appends a whole block with the given fields to b. The encoder may keep their strings, but
// not the slice.
func (e *Encoder) Append(b []byte, fields []Field) []byte {
	if e.encoderScratch == nil {
		e.encoderScratch = &encoderScratch{gen: 1}
	}
	if e.blockCache.matches(fields) {
		return append(b, e.blockCache.octets...)
	}
	start := len(b)
	e.changed = e.updateDue
	if e.updateDue {
		e.updateDue = false
		if e.minSize < e.size {
			b = appendInteger(b, 0x20, 5, e.minSize)
		}
		b = appendInteger(b, 0x20, 5, e.size)
	}
	for i := range fields {
		b = e.appendField(b, &fields[i])
	}
	if e.changed {
		e.blockCache.reset()
	} else {
		e.blockCache.store(b[start:], fields)
	}
	return b
}

// The bits with which representations begin (RFC 7541 §6). Behind each is the number of bits for
// the prefix of an integer in the same octet.
const (
	reprIndexed     = 0x80 // 7
	reprIncremental = 0x40 // 6
	reprNever       = 0x10 // 4
	reprPlain       = 0x00 // 4
)

// shortCookie is the length below which a cookie is not indexed: an attacker that can make a client
// send cookies of the attacker's choice could guess it from what compresses well (RFC 7541
// §7.1.3).
const shortCookie = 20

func (e *Encoder) appendField(b []byte, f *Field) []byte {
	if len(e.fieldCache) > 0 && f.Name != "" {
		at := e.cacheSlot(f.Name)
		for i := range uint32(cacheWays) {
			m := &e.fieldCache[at^i]
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

// repeated reports whether value is that of the date field before, and keeps it.
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

// appendIndexed appends a field that is in the dynamic table or is to enter it.
func (e *Encoder) appendIndexed(b []byte, f *Field) []byte {
	if e.hpack == nil {
		e.hpack = hpack.NewEncoder(&e.out)
		e.hpack.SetMaxDynamicTableSizeLimit(e.cap)
		e.hpack.SetMaxDynamicTableSize(e.size)
		e.dropSizeUpdate()
	}
	start := len(b)
	e.out.b = b
	_ = e.hpack.WriteField(*f) // fails only where sliceWriter does
	b, e.out.b = e.out.b, nil
	if b[start]&reprIndexed == 0 {
		e.dropFieldCache() // a new entry: the indexes of all others are different now
		return b
	}
	e.cacheField(f, b[start:])
	return b
}

// The field cache is a hash table by name, since the fields of an http.Header come in any order. It
// grows while it is too small for the fields of the connection's messages.
const (
	minCacheSlots = 8
	maxCacheSlots = 64
	cacheWays     = 2 // slots that a name can have: those whose numbers differ in the lowest bit
)

// cacheSlot returns one of the two slots of a name, which must not be empty. Its hash is not that
// of the names' table: the names of an application are often alike, as x-field-1 and x-field-2 are.
func (e *Encoder) cacheSlot(name string) uint32 {
	n := len(name)
	h := uint32(n)*0x9e3779b1 + uint32(name[n/2])*0x85ebca77 + uint32(name[n-1])*0xc2b2ae3d +
		uint32(name[(n-1)/2])*0x27d4eb2f
	if n > 1 {
		h += uint32(name[n-2]) * 0x165667b1
	}
	return (h ^ h>>15) % uint32(len(e.fieldCache))
}

// dropFieldCache empties the field cache.
func (e *Encoder) dropFieldCache() {
	e.changed = true
	if e.gen++; e.gen == 0 { // once in four billion times
		clear(e.fieldCache)
		e.gen = 1
	}
}

func (e *Encoder) cacheField(f *Field, repr []byte) {
	if f.Name == "" || len(repr) > len(indexedField{}.repr) {
		return
	}
	if e.fieldCache == nil {
		e.fieldCache = make([]indexedField, minCacheSlots)
	}
	for {
		at := e.cacheSlot(f.Name)
		m := &e.fieldCache[at]
		if m.gen == e.gen {
			m = &e.fieldCache[at^1]
		}
		if m.gen == e.gen {
			if len(e.fieldCache) < maxCacheSlots {
				e.fieldCache = make([]indexedField, 2*len(e.fieldCache)) // the fields of the old one come again
				continue
			}
			m = &e.fieldCache[at]
		}
		m.name, m.value, m.gen, m.n = f.Name, f.Value, e.gen, uint8(copy(m.repr[:], repr))
		return
	}
}

// dropSizeUpdate keeps hpack.Encoder from writing a size update in front of its next field. We
// write our own, since that field may not be the first of the block.
func (e *Encoder) dropSizeUpdate() {
	_ = e.hpack.WriteField(Field{Name: ":method", Value: "GET"}) // whole in the static table: changes nothing
	e.out.b = nil
	e.dropFieldCache()
}

// sliceWriter appends what is written.
type sliceWriter struct{ b []byte }

func (w *sliceWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// appendLiteral appends a literal that does not enter the table, whose name is that of the entry
// index of the static table unless index is 0.
func appendLiteral(b []byte, repr byte, index uint8, f *Field) []byte {
	b = appendInteger(b, repr, 4, uint32(index))
	if index == 0 {
		b = appendString(b, f.Name)
	}
	return appendString(b, f.Value)
}

// appendInteger appends an integer whose prefix has the given number of bits, in an octet that
// begins with the bits of repr (RFC 7541 §5.1).
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

// minHuffman is the length from which a string is Huffman coded: a shorter one saves an octet at
// most.
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
