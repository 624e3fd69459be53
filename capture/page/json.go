package page

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxText is how many octets of a single text, such as the value of a field, get into the page.
const maxText = 4096

// An encoder appends JSON that is safe inside a script element: no <, > or & is in it, and neither
// U+2028 nor U+2029.
type encoder struct {
	b    []byte
	base time.Time // what times are relative to; the first one that is set
}

// open begins an array or an object.
func (e *encoder) open(c byte) { e.comma(); e.b = append(e.b, c) }

// close ends it.
func (e *encoder) close(c byte) { e.b = append(e.b, c) }

// comma separates a value from the one before it.
func (e *encoder) comma() {
	if n := len(e.b); n > 0 {
		switch e.b[n-1] {
		case '[', '{', ':', ',':
		default:
			e.b = append(e.b, ',')
		}
	}
}

// int appends a number.
func (e *encoder) int(n int64) {
	e.comma()
	e.b = strconv.AppendInt(e.b, n, 10)
}

// uint appends a number. Those above 2^53 lose digits in the page.
func (e *encoder) uint(n uint64) {
	e.comma()
	e.b = strconv.AppendUint(e.b, n, 10)
}

// bool appends 1 or 0.
func (e *encoder) bool(v bool) {
	if v {
		e.int(1)
	} else {
		e.int(0)
	}
}

// time appends nanoseconds since the base, which a page shows exactly within 104 days; null is an
// unknown time.
func (e *encoder) time(t time.Time) {
	if t.IsZero() {
		e.comma()
		e.b = append(e.b, "null"...)
		return
	}
	if e.base.IsZero() {
		e.base = t
	}
	e.int(int64(t.Sub(e.base)))
}

// key begins a member of an object.
func (e *encoder) key(k string) {
	e.comma()
	e.b = append(e.b, '"')
	e.b = append(e.b, k...)
	e.b = append(e.b, `":`...)
}

// number appends a member, unless it is 0.
func (e *encoder) number(k string, n int64) {
	if n != 0 {
		e.key(k)
		e.int(n)
	}
}

// text appends a member, unless it is "".
func (e *encoder) text(k, s string) {
	if s != "" {
		e.key(k)
		e.string(s)
	}
}

// flag appends a member that is 1, if v is set.
func (e *encoder) flag(k string, v bool) {
	if v {
		e.key(k)
		e.int(1)
	}
}

// string appends a text. What cannot be seen, or changes the direction of what is around it, is
// spelled out, as \x1b or \u{202e}, and so are octets that are not UTF-8.
func (e *encoder) string(s string) {
	e.comma()
	e.b = append(e.b, '"')
	cut := len(s) > maxText
	full := len(s)
	if cut {
		s = s[:maxText]
	}
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			e.ascii(c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			e.b = append(e.b, `\\x`...)
			e.b = append(e.b, hexDigits[s[i]>>4], hexDigits[s[i]&15])
		case !unicode.IsPrint(r):
			e.b = append(e.b, `\\u{`...)
			e.b = strconv.AppendInt(e.b, int64(r), 16)
			e.b = append(e.b, '}')
		default:
			e.b = append(e.b, s[i:i+n]...)
		}
		i += n
	}
	if cut {
		e.b = append(e.b, "… (of "...)
		e.b = strconv.AppendInt(e.b, int64(full), 10)
		e.b = append(e.b, " octets)"...)
	}
	e.b = append(e.b, '"')
}

const hexDigits = "0123456789abcdef"

// ascii appends a character of a text.
func (e *encoder) ascii(c byte) {
	switch {
	case c == '"' || c == '\\':
		e.b = append(e.b, '\\', c)
	case c == '<' || c == '>' || c == '&':
		e.b = append(e.b, `\u00`...)
		e.b = append(e.b, hexDigits[c>>4], hexDigits[c&15])
	case c < ' ' || c == 0x7f:
		e.b = append(e.b, `\\x`...)
		e.b = append(e.b, hexDigits[c>>4], hexDigits[c&15])
	default:
		e.b = append(e.b, c)
	}
}
