package syntax

import "strings"

// class is a set of character classes of RFC 9110 and RFC 3986.
type class uint8

const (
	classToken     class = 1 << iota // tchar
	classAuthority                   // unreserved, pct-encoded, sub-delims, and : [ ]
	classPath                        // visible, and not #; octets over 0x7f as browsers do send them
	classValue                       // field-vchar, SP and HTAB
	classScheme                      // letters, digits, + - .
	classDigit
)

var classes = makeClasses()

func makeClasses() (t [256]class) {
	const (
		digits  = "0123456789"
		letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	set := func(chars string, c class) {
		for i := range len(chars) {
			t[chars[i]] |= c
		}
	}
	set(digits, classDigit|classToken|classAuthority|classScheme)
	set(letters, classToken|classAuthority|classScheme)
	set("!#$%&'*+-.^_`|~", classToken)
	set("-._~%!$&'()*+,;=:[]", classAuthority)
	set("+-.", classScheme)
	for c := range 256 {
		if c > ' ' && c != '#' && c != 0x7f {
			t[c] |= classPath
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= classValue
		}
	}
	return t
}

func allIn(s string, c class) bool {
	for i := range len(s) {
		if classes[s[i]]&c == 0 {
			return false
		}
	}
	return true
}

// TokenChar reports whether c may stand in a token.
func TokenChar(c byte) bool { return classes[c]&classToken != 0 }

// ValidToken reports whether s is a token (RFC 9110 §5.6.2), which names and methods are.
func ValidToken(s string) bool { return s != "" && allIn(s, classToken) }

// ValidValue reports whether s is made of field-vchar, SP and HTAB (RFC 9110 §5.5).
func ValidValue(s string) bool {
	for len(s) >= 8 {
		x := load64(s)
		if (hasBelow(x, ' ')|hasOctet(x, 0x7f))&highs != 0 && !allIn(s[:8], classValue) { // it may be just HTAB
			return false
		}
		s = s[8:]
	}
	return allIn(s, classValue)
}

// Values are long and nearly always plain text, so they are read eight octets at a time.

const (
	ones  = 0x0101010101010101
	highs = ones * 0x80
)

func load64(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// hasBelow has one of highs set if and only if an octet of x is below n, which is at most 0x80.
func hasBelow(x, n uint64) uint64 { return (x - ones*n) &^ x }

// hasOctet has one of highs set if and only if an octet of x is c.
func hasOctet(x, c uint64) uint64 { x ^= ones * c; return (x - ones) &^ x }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

// TrimValue returns the field value s without the whitespace at its ends.
//
// A server calls a message with such whitespace malformed (RFC 9113 §8.2.1). A client takes it,
// since servers pass on what applications give them, the messages of gRPC's errors for example, and
// net/http, curl and browsers take it: it is no part of the value (RFC 9110 §5.5).
func TrimValue(s string) string {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	for s != "" && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// HasToken reports whether a token is in a comma-separated list, which may have several lines (RFC
// 9110 §5.6.1). It compares without regard to case.
func HasToken(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(TrimValue(part), token) {
				return true
			}
		}
	}
	return false
}
