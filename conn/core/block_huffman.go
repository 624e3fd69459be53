package core

import (
	"encoding/binary"
	"slices"

	"golang.org/x/net/http2/hpack"
)

// The decoding half of the Huffman code of RFC 7541 Appendix B. That of x/net goes through a pooled buffer octet by
// octet and takes about three times as long. Codes of up to huffShort bits, which all common characters have, are
// found with one look at a table; the code is canonical, so longer ones are found by comparing.

const (
	huffShort = 10
	huffPair  = 12
)

var huffman = makeHuffman()

type huffmanTables struct {
	short [1 << huffShort]uint16 // symbol<<8 | length, by the next huffShort bits; 0 for a longer code
	pairs [1 << huffPair]uint32  // by the next huffPair bits: two symbols, 8 bits for each, their length, and 2; or one; or 0
	long  []huffmanLength
}

// huffmanLength describes the codes of one length.
type huffmanLength struct {
	bits    uint8
	limit   uint32 // the first code that is too great for this length, as a number of 30 bits
	first   uint32 // the first code
	symbols []byte // in the order of their codes
}

func makeHuffman() *huffmanTables {
	t := new(huffmanTables)
	const longest = 30
	var byLength [longest + 1]huffmanLength
	var buf [32]byte
	for sym := range 256 {
		s := string([]byte{byte(sym), byte(sym), byte(sym), byte(sym), byte(sym), byte(sym), byte(sym), byte(sym)})
		bits := uint8(hpack.HuffmanEncodeLength(s)) // eight codes of n bits are n octets
		copy(buf[:4], hpack.AppendHuffmanString(buf[:0], s))
		code := binary.BigEndian.Uint32(buf[:4]) >> (32 - bits)
		if bits <= huffShort {
			from := code << (huffShort - bits)
			for i := range uint32(1) << (huffShort - bits) {
				t.short[from+i] = uint16(sym)<<8 | uint16(bits)
			}
			continue
		}
		l := &byLength[bits]
		if len(l.symbols) == 0 {
			l.bits, l.first = bits, code
		}
		l.symbols = append(l.symbols, byte(sym))
		l.limit = (code + 1) << (longest - bits)
	}
	for i := range uint32(1) << huffPair {
		one := uint32(t.short[i>>(huffPair-huffShort)])
		if one == 0 {
			continue
		}
		t.pairs[i] = one>>8 | one&0xff<<16 | 1<<24
		rest := i << (one & 0xff) & (1<<huffPair - 1)
		if two := uint32(t.short[rest>>(huffPair-huffShort)]); two != 0 && one&0xff+two&0xff <= huffPair {
			t.pairs[i] = one>>8 | two>>8<<8 | (one&0xff+two&0xff)<<16 | 2<<24
		}
	}
	for _, l := range byLength {
		if len(l.symbols) > 0 {
			t.long = append(t.long, l)
		}
	}
	return t
}

// appendHuffmanDecoded appends what src says to dst. It is false when src is not well-formed (RFC 7541 §5.2).
func appendHuffmanDecoded(dst, src []byte) ([]byte, bool) {
	t := huffman
	at := len(dst)
	most := len(src)*8/5 + 1 // the shortest code has five bits; one octet more, as pairs are written
	dst = slices.Grow(dst, most)[:at+most]
	var x uint64 // the next bits, from the highest down; behind them some that are yet to be counted
	var n uint   // how many of them there are
	for len(src) >= 8 {
		x |= binary.BigEndian.Uint64(src) >> n
		src = src[(64-n)/8:]
		n += (64 - n) &^ 7
		for range 4 { // looks at less than 56 bits
			e := t.pairs[x>>(64-huffPair)]
			if e == 0 {
				break
			}
			out := dst[at : at+2 : at+2]
			out[0], out[1] = byte(e), byte(e>>8)
			at += int(e >> 24)
			bits := uint(e>>16) & 63
			x <<= bits
			n -= bits
		}
		if n >= 30 && t.short[x>>(64-huffShort)] == 0 {
			sym, bits := t.longCode(uint32(x >> 34))
			if bits == 0 {
				return dst[:at], false
			}
			dst[at] = sym
			at++
			x <<= bits
			n -= bits
		}
	}
	x &= ^(^uint64(0) >> n)
	for {
		for n <= 56 && len(src) > 0 {
			x |= uint64(src[0]) << (56 - n)
			src = src[1:]
			n += 8
		}
		e := t.short[x>>(64-huffShort)]
		sym, bits := byte(e>>8), uint(e&0xff)
		if bits == 0 {
			sym, bits = t.longCode(uint32(x >> 34))
		}
		if bits == 0 || bits > n {
			break
		}
		dst[at] = sym
		at++
		x <<= bits
		n -= bits
	}
	// What is left is padding: fewer than eight bits, all of them ones.
	return dst[:at], n < 8 && x == ^(^uint64(0)>>n)
}

// longCode finds the code at the head of the 30 bits x. bits is 0 where there is none: x begins with EOS or padding.
func (t *huffmanTables) longCode(x uint32) (sym byte, bits uint) {
	for i := range t.long {
		if l := &t.long[i]; x < l.limit {
			return l.symbols[x>>(30-l.bits)-l.first], uint(l.bits)
		}
	}
	return 0, 0
}
