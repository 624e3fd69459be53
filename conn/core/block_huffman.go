package core

import (
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// The decoding half of the Huffman code of RFC 7541 Appendix B. That of x/net goes through a pooled buffer octet by
// octet and takes about three times as long. Codes of up to huffShort bits, which all common characters have, are
// found with one look at a table; the code is canonical, so longer ones are found by comparing.

const huffShort = 10

var huffman = makeHuffman()

type huffmanTables struct {
	short [1 << huffShort]uint16 // symbol<<8 | length, by the next huffShort bits; 0 for a longer code
	long  []huffmanLength
	codes [256]huffmanCode // for encoding
}

type huffmanCode struct {
	code uint32
	bits uint8
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
		t.codes[sym] = huffmanCode{code, bits}
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
	var x uint64 // the next bits, from the highest down
	var n uint   // how many of them there are
	for {
		if len(src) >= 8 {
			x |= binary.BigEndian.Uint64(src) >> n
			k := (64 - n) / 8
			src = src[k:]
			n += 8 * k
			x &= ^uint64(0) << (64 - n) // what was read beyond whole octets comes again
		} else {
			for n <= 56 && len(src) > 0 {
				x |= uint64(src[0]) << (56 - n)
				src = src[1:]
				n += 8
			}
		}
		for n >= 30 || len(src) == 0 {
			e := t.short[x>>(64-huffShort)]
			bits := uint(e & 0xff)
			if bits == 0 {
				var sym byte
				if sym, bits = t.longCode(uint32(x >> 34)); bits == 0 {
					break
				}
				e = uint16(sym) << 8
			}
			if bits > n {
				break
			}
			dst = append(dst, byte(e>>8))
			x <<= bits
			n -= bits
		}
		if len(src) == 0 || n >= 30 {
			break
		}
	}
	// What is left is padding: fewer than eight bits, all of them ones.
	return dst, len(src) == 0 && n < 8 && x == ^(^uint64(0)>>n)
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

// huffmanLen is the length of s in Huffman code.
func huffmanLen(s string) int {
	t := huffman
	bits := 0
	for i := range len(s) {
		bits += int(t.codes[s[i]].bits)
	}
	return (bits + 7) / 8
}

// appendHuffman appends s in Huffman code.
func appendHuffman(b []byte, s string) []byte {
	return hpack.AppendHuffmanString(b, s)
}
