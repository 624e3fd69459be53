package core

import "golang.org/x/net/http2/hpack"

// blockEncoder appends header blocks in HPACK (RFC 7541). Whoever holds the lock of the connection may use it.
//
// It is not x/net's encoder, as that spends 40 ns on a field that is already in its table: four lookups in maps of
// whole fields, and a call to an io.Writer. Here one lookup of the name decides: a field that is whole in the static
// table, or should stay out of the dynamic one (see policy), is appended at once; the others are found by walking the
// few entries of that name.
//
// It does not judge fields: names have to be valid and in lowercase, values valid, pseudo-header fields in front.
type blockEncoder struct {
	table encoderTable
	cap   uint32 // we use no more than this, whatever the peer allows
	peer  uint32 // the peer's SETTINGS_HEADER_TABLE_SIZE

	update bool   // the next block begins with a size update
	low    uint32 // the least size since the last block

	date    [29]byte // the last value of date
	dateLen int
}

// newBlockEncoder returns an encoder whose dynamic table takes up to maxTableSize octets of the peer's memory and of
// ours, as RFC 7541 §4.1 counts.
func newBlockEncoder(maxTableSize uint32) *blockEncoder {
	e := &blockEncoder{cap: maxTableSize, peer: initialTableSize}
	e.table.max = min(maxTableSize, initialTableSize)
	return e
}

// setPeerTableSize says that the peer's SETTINGS_HEADER_TABLE_SIZE is n from the next block on.
//
// The next block announces the size that we then use (RFC 7541 §4.2): when it changes, and whenever n is less than
// before, as the peer may wait for that (RFC 9113 §4.3.1).
func (e *blockEncoder) setPeerTableSize(n uint32) {
	size := min(n, e.cap)
	if n >= e.peer && size == e.table.max {
		e.peer = n
		return
	}
	if !e.update {
		e.low = size
	}
	e.low = min(e.low, size)
	e.update, e.peer = true, n
	e.table.setMax(size)
	if e.low < size {
		// The next block says both (RFC 7541 §4.2). x/net's decoder takes a second size update only for an empty
		// table, and no decoder can object to less than the least size.
		e.low = 0
		e.table.evict(0)
	}
}

// append appends a whole block with the given fields to b. It keeps no reference to them.
func (e *blockEncoder) append(b []byte, fields []Field) []byte {
	if e.update {
		e.update = false
		if e.low < e.table.max {
			b = appendInteger(b, 0x20, 5, e.low)
		}
		b = appendInteger(b, 0x20, 5, e.table.max)
	}
	for i := range fields {
		b = e.appendField(b, &fields[i])
	}
	return b
}

// First octets of representations (RFC 7541 §6). The number is the bits of the integer that they begin.
const (
	reprIndexed     = 0x80 // 7
	reprIncremental = 0x40 // 6
	reprNever       = 0x10 // 4
	reprPlain       = 0x00 // 4
)

func (e *blockEncoder) appendField(b []byte, f *Field) []byte {
	known, hash := lookupName(f.Name)
	if f.Sensitive {
		return appendLiteral(b, reprNever, known.first, f)
	}
	for i := known.first; i != 0 && i <= known.last; i++ {
		if staticTable[i].value == f.Value {
			return append(b, reprIndexed|i)
		}
	}
	switch known.policy {
	case policyPlain:
		return appendLiteral(b, reprPlain, known.first, f)
	case policyNever:
		return appendLiteral(b, reprNever, known.first, f)
	case policyCookie:
		if len(f.Value) < 20 {
			return appendLiteral(b, reprNever, known.first, f)
		}
	case policyRepeat:
		if !e.repeated(f.Value) {
			return appendLiteral(b, reprPlain, known.first, f)
		}
	}
	return e.appendIndexed(b, known, hash, f)
}

// repeated tells whether value is that of the date field before.
func (e *blockEncoder) repeated(value string) bool {
	if value == string(e.date[:e.dateLen]) {
		return true
	}
	e.dateLen = 0
	if len(value) <= len(e.date) {
		e.dateLen = copy(e.date[:], value)
	}
	return false
}

// appendIndexed appends a field that is in the dynamic table or may enter it.
func (e *blockEncoder) appendIndexed(b []byte, known *knownName, hash uint32, f *Field) []byte {
	age, sameName := e.table.find(known, hash, f)
	if age != 0 {
		return appendInteger(b, reprIndexed, 7, lastStatic+age)
	}
	index := uint32(known.first)
	if index == 0 && sameName != 0 {
		index = lastStatic + sameName
	}
	if !e.table.wants(f, sameName) {
		return appendLiteralIndex(b, reprPlain, 4, index, f)
	}
	b = appendLiteralIndex(b, reprIncremental, 6, index, f)
	e.table.add(hash, known, f)
	return b
}

// appendLiteral appends a literal that does not enter the table, with the name from the static table when first
// is not 0.
func appendLiteral(b []byte, repr byte, first uint8, f *Field) []byte {
	return appendLiteralIndex(b, repr, 4, uint32(first), f)
}

func appendLiteralIndex(b []byte, repr byte, bits uint8, index uint32, f *Field) []byte {
	b = appendInteger(b, repr, bits, index)
	if index == 0 {
		b = appendString(b, f.Name)
	}
	return appendString(b, f.Value)
}

// appendInteger appends an integer with a prefix of so many bits behind those of repr (RFC 7541 §5.1).
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

// minHuffman is the length from which a string is Huffman coded: below it there is an octet to win at most.
const minHuffman = 5

// appendString appends s, Huffman coded where that is shorter (RFC 7541 §5.2).
func appendString(b []byte, s string) []byte {
	if len(s) >= minHuffman {
		if n := int(hpack.HuffmanEncodeLength(s)); n < len(s) {
			b = appendInteger(b, 0x80, 7, uint32(n))
			return hpack.AppendHuffmanString(b, s)
		}
	}
	b = appendInteger(b, 0, 7, uint32(len(s)))
	return append(b, s...)
}
