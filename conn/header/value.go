package header

import "strings"

// class is a set of character classes of RFC 9110 and RFC 3986.
type class uint8

const (
	classToken     class = 1 << iota // tchar
	classLower                       // tchar without uppercase letters: a field name of HTTP/2
	classAuthority                   // unreserved, pct-encoded, sub-delims, and : [ ]
	classPath                        // visible, and not #; octets over 0x7f as browsers do send them
	classValue                       // field-vchar, SP and HTAB
	classScheme                      // letters, digits, + - .
	classDigit
	classUpper
)

var classes = makeClasses()

func makeClasses() (t [256]class) {
	const (
		digits = "0123456789"
		lower  = "abcdefghijklmnopqrstuvwxyz"
		upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	set := func(chars string, c class) {
		for i := range len(chars) {
			t[chars[i]] |= c
		}
	}
	set(digits, classDigit|classLower|classToken|classAuthority|classScheme)
	set(lower, classLower|classToken|classAuthority|classScheme)
	set(upper, classUpper|classToken|classAuthority|classScheme)
	set("!#$%&'*+-.^_`|~", classLower|classToken)
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

// valueFault checks the value of a field of kind k. num is the number in it, where the kind has
// one.
func valueFault(k kind, s string) (num int64, f fault) {
	if k != kindPlain {
		var ok bool
		if num, ok, f = specialValue(k, s); ok {
			return num, faultNone
		}
	}
	switch {
	case s != "" && (isSpace(s[0]) || isSpace(s[len(s)-1])):
		return 0, faultValueSpace
	case !ValidValue(s):
		return 0, faultValue
	}
	return num, f
}

// specialValue reports whether s is a valid value for a kind with a syntax of its own, and if not
// the fault, which is faultNone for a kind without one.
func specialValue(k kind, s string) (num int64, ok bool, f fault) {
	switch k {
	case kindMethod:
		return 0, s != "" && allIn(s, classToken), faultMethod
	case kindScheme:
		return 0, s != "" && isLetter(s[0]) && allIn(s, classScheme), faultScheme
	case kindAuthority:
		return 0, validAuthority(s), faultAuthority
	case kindPath:
		return 0, ValidPath(s), faultPath
	case kindProtocol:
		return 0, s != "" && allIn(s, classToken), faultProtocol
	case kindStatus:
		num = parseDecimal(s)
		return num, len(s) == 3 && num >= 100, faultStatus
	case kindTE:
		return 0, strings.EqualFold(s, "trailers"), faultTE
	case kindContentLength:
		num = parseDecimal(s)
		return num, num >= 0, faultContentLength
	}
	return 0, false, faultNone
}

// parseDecimal gives the value of s, or -1 when s is not 1*DIGIT or overflows.
func parseDecimal(s string) int64 {
	const most = 1<<63 - 1
	if s == "" {
		return -1
	}
	var n uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if d > 9 || n > (most-d)/10 {
			return -1
		}
		n = n*10 + d
	}
	return int64(n)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
