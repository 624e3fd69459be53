package inspect

import (
	"unicode"
	"unicode/utf8"
)

// appendEscaped appends text of a peer so that a terminal only shows it: controls, marks of
// bidirectional text and octets that are no UTF-8 become escapes such as \x1b, \u202e and \xff.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c >= 0x20 && c < 0x7f {
			b = append(b, c)
			i++
			continue
		}
		r, n := decodeRune(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x80:
			b = appendHexEscape(b, 'x', rune(s[i]), 2)
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		case r < 1<<16:
			b = appendHexEscape(b, 'u', r, 4)
		default:
			b = appendHexEscape(b, 'U', r, 8)
		}
		i += n
	}
	return b
}

// decodeRune decodes the first character of s.
func decodeRune[T string | []byte](s T) (rune, int) {
	var first [utf8.UTFMax]byte
	return utf8.DecodeRune(first[:copy(first[:], s)])
}

// appendHexEscape appends an escape with that many digits.
func appendHexEscape(b []byte, letter byte, r rune, digits int) []byte {
	b = append(b, '\\', letter)
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[r>>shift&15])
	}
	return b
}

// escaped is s as appendEscaped makes it.
func escaped(s string) string { return string(appendEscaped(nil, s)) }
