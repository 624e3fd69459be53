package priority

import "strings"

// scanner reads structured fields (RFC 8941 §4.2) from the front of rest. A method returns false
// where rest is not a valid structured field.
type scanner struct {
	rest string
}

// An item is the part of a value that is used here: its kind, and the number when it is an integer
// or a boolean.
type item struct {
	kind itemKind
	num  int64
}

type itemKind uint8

const (
	other itemKind = iota // a decimal, string, token, byte sequence or inner list
	integer
	boolean
)

// skip removes all leading octets that are in set.
func (s *scanner) skip(set string) {
	for s.rest != "" && strings.IndexByte(set, s.rest[0]) >= 0 {
		s.rest = s.rest[1:]
	}
}

// eat removes c if it is next, and reports whether it was.
func (s *scanner) eat(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// while removes and returns the longest prefix of octets for which f is true.
func (s *scanner) while(f func(byte) bool) string {
	i := 0
	for i < len(s.rest) && f(s.rest[i]) {
		i++
	}
	prefix := s.rest[:i]
	s.rest = s.rest[i:]
	return prefix
}

// member reads a member of a dictionary with its parameters (RFC 8941 §4.2.2).
func (s *scanner) member() (key string, v item, ok bool) {
	if key, ok = s.key(); !ok {
		return "", item{}, false
	}
	switch {
	case !s.eat('='):
		v, ok = item{boolean, 1}, true
	case s.eat('('):
		ok = s.innerList()
	default:
		v, ok = s.bareItem()
	}
	return key, v, ok && s.parameters()
}

// innerList reads an inner list after its opening parenthesis, without its parameters
// (RFC 8941 §4.2.1.2).
func (s *scanner) innerList() bool {
	for {
		s.skip(" ")
		if s.eat(')') {
			return true
		}
		if _, ok := s.bareItem(); !ok || !s.parameters() {
			return false
		}
		if s.rest == "" || s.rest[0] != ' ' && s.rest[0] != ')' {
			return false
		}
	}
}

// parameters reads and ignores the parameters of an item (RFC 8941 §4.2.3.2).
func (s *scanner) parameters() bool {
	for s.eat(';') {
		s.skip(" ")
		if _, ok := s.key(); !ok {
			return false
		}
		if s.eat('=') {
			if _, ok := s.bareItem(); !ok {
				return false
			}
		}
	}
	return true
}

// key reads a key (RFC 8941 §4.2.3.3).
func (s *scanner) key() (string, bool) {
	if s.rest == "" || !isLower(s.rest[0]) && s.rest[0] != '*' {
		return "", false
	}
	return s.while(isKey), true
}

// bareItem reads an item without parameters (RFC 8941 §4.2.3.1).
func (s *scanner) bareItem() (item, bool) {
	if s.rest == "" {
		return item{}, false
	}
	switch c := s.rest[0]; {
	case c == '-' || isDigit(c):
		return s.number()
	case c == '"':
		return item{}, s.str()
	case c == '*' || isAlpha(c):
		s.while(isToken)
		return item{}, true
	case c == ':':
		s.rest = s.rest[1:]
		s.while(isBase64)
		return item{}, s.eat(':')
	case c == '?':
		s.rest = s.rest[1:]
		if s.eat('1') {
			return item{boolean, 1}, true
		}
		return item{boolean, 0}, s.eat('0')
	}
	return item{}, false
}

// number reads an integer or a decimal (RFC 8941 §4.2.4).
func (s *scanner) number() (item, bool) {
	negative := s.eat('-')
	digits := s.while(isDigit)
	if digits == "" || len(digits) > 15 {
		return item{}, false
	}
	if s.eat('.') {
		fraction := s.while(isDigit)
		return item{}, len(digits) <= 12 && fraction != "" && len(fraction) <= 3
	}
	n := int64(0)
	for i := range len(digits) {
		n = 10*n + int64(digits[i]-'0')
	}
	if negative {
		n = -n
	}
	return item{integer, n}, true
}

// str reads and ignores a string, which begins with a quote (RFC 8941 §4.2.5).
func (s *scanner) str() bool {
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return true
		case c == '\\':
			if i++; i == len(s.rest) || s.rest[i] != '"' && s.rest[i] != '\\' {
				return false
			}
		case c < 0x20 || c > 0x7e:
			return false
		}
	}
	return false
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isAlpha(c byte) bool { return isLower(c | 0x20) }

func isKey(c byte) bool {
	return isLower(c) || isDigit(c) || c == '_' || c == '-' || c == '.' || c == '*'
}

func isToken(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~:/", c) >= 0
}

func isBase64(c byte) bool {
	return isAlpha(c) || isDigit(c) || c == '+' || c == '/' || c == '='
}
