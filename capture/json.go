package capture

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends e to b as one line of JSON, without an end of line, and returns the longer
// slice. docs/INSPECT.md has the members of each kind of event; a test compares it with this
// function.
//
// Members that are empty, zero or false are left out, but for those that every event of its kind
// has. What a peer has sent as text is a string of JSON: control characters are escaped, and octets
// that are no UTF-8 are replaced by U+FFFD. Where that loses something, a member whose name ends in
// "_base64" beside it has the octets as they are.
func AppendJSON(b []byte, e Event) []byte {
	o := newObject(b)
	o.str("kind", e.Kind())
	o.num("conn", int64(e.ConnID()))
	switch e := e.(type) {
	case *Frame:
		frameJSON(o, e)
	case *Connection:
		connectionJSON(o, e)
	case *Request:
		requestJSON(o, e)
	case *Stall:
		stallJSON(o, e)
	case *Finding:
		findingJSON(o, e)
	case *Gap:
		gapJSON(o, e)
	case *Body:
		bodyJSON(o, e)
	case *Message:
		messageJSON(o, e)
	case *End:
		endJSON(o, e)
	}
	return o.end()
}

// A jsonObject is an object of JSON that is written. It is passed by pointer, and has no more than
// one owner.
type jsonObject struct {
	b    []byte
	next bool // a member stands before
}

// newObject begins an object behind b.
func newObject(b []byte) *jsonObject { return &jsonObject{b: append(b, '{')} }

// end ends the object, and returns what there is.
func (o *jsonObject) end() []byte { return append(o.b, '}') }

// key begins a member.
func (o *jsonObject) key(name string) {
	if o.next {
		o.b = append(o.b, ',')
	}
	o.next = true
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, '"', ':')
}

// str adds a member that is a string of the program's own, or of a peer without what JSON loses.
func (o *jsonObject) str(name, v string) {
	o.key(name)
	o.b = appendString(o.b, v)
}

// strIf adds a string that is not empty.
func (o *jsonObject) strIf(name, v string) {
	if v != "" {
		o.str(name, v)
	}
}

// octets adds text of a peer, and the octets themselves where they are no UTF-8.
func (o *jsonObject) octets(name, v string) {
	o.str(name, v)
	if !utf8.ValidString(v) {
		o.key(name + "_base64")
		o.b = appendBase64(o.b, []byte(v))
	}
}

// octetsIf adds text of a peer that is not empty.
func (o *jsonObject) octetsIf(name, v string) {
	if v != "" {
		o.octets(name, v)
	}
}

// texts adds a list of texts of a peer that is not empty, and the octets of all of them where one
// is no UTF-8.
func (o *jsonObject) texts(name string, list []string) {
	if len(list) == 0 {
		return
	}
	valid := true
	o.list(name, len(list), func(i int) {
		o.b = appendString(o.b, list[i])
		valid = valid && utf8.ValidString(list[i])
	})
	if !valid {
		o.list(name+"_base64", len(list), func(i int) { o.b = appendBase64(o.b, []byte(list[i])) })
	}
}

// num adds a number.
func (o *jsonObject) num(name string, v int64) {
	o.key(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

// numIf adds a number that is not 0.
func (o *jsonObject) numIf(name string, v int64) {
	if v != 0 {
		o.num(name, v)
	}
}

// flag adds a member that is true.
func (o *jsonObject) flag(name string, v bool) {
	if v {
		o.key(name)
		o.b = append(o.b, "true"...)
	}
}

// hex adds octets as hexadecimal digits, if there are any.
func (o *jsonObject) hex(name string, v []byte) {
	if len(v) > 0 {
		o.key(name)
		o.b = append(o.b, '"')
		o.b = append(hex.AppendEncode(o.b, v), '"')
	}
}

// time adds a time of UTC with nanoseconds (RFC 3339), if it is known.
func (o *jsonObject) time(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	o.key(name)
	o.b = append(o.b, '"')
	// For RFC3339 package time needs half the time that it needs for a layout of ours.
	o.b = t.UTC().AppendFormat(o.b, time.RFC3339)
	o.b = append(o.b[:len(o.b)-len("Z")], '.')
	for n, unit := t.Nanosecond(), 100_000_000; unit > 0; unit /= 10 {
		o.b = append(o.b, '0'+byte(n/unit%10))
	}
	o.b = append(o.b, 'Z', '"')
}

// milliseconds adds a length of time in milliseconds, exactly.
func (o *jsonObject) milliseconds(name string, d time.Duration) {
	o.key(name)
	ns := int64(d)
	if ns < 0 {
		o.b = append(o.b, '-')
		ns = -ns
	}
	o.b = strconv.AppendInt(o.b, ns/1e6, 10)
	if rest := ns % 1e6; rest != 0 {
		digits := strconv.AppendInt(nil, 1e6+rest, 10)[1:]
		for digits[len(digits)-1] == '0' {
			digits = digits[:len(digits)-1]
		}
		o.b = append(append(o.b, '.'), digits...)
	}
}

// object adds a member that is an object with what members adds.
func (o *jsonObject) object(name string, members func()) {
	o.key(name)
	o.nested(members)
}

// nested writes an object as the value of a member or the element of a list.
func (o *jsonObject) nested(members func()) {
	o.b = append(o.b, '{')
	o.next = false
	members()
	o.b = append(o.b, '}')
	o.next = true
}

// list adds a member that is a list of n elements, which element writes.
func (o *jsonObject) list(name string, n int, element func(i int)) {
	o.key(name)
	o.b = append(o.b, '[')
	for i := range n {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		element(i)
	}
	o.b = append(o.b, ']')
	o.next = true
}

// objects adds a list of objects.
func (o *jsonObject) objects(name string, n int, members func(i int)) {
	o.list(name, n, func(i int) { o.nested(func() { members(i) }) })
}

// appendBase64 appends a string of octets (RFC 4648 §4).
func appendBase64(b, octets []byte) []byte {
	b = append(b, '"')
	return append(base64.StdEncoding.AppendEncode(b, octets), '"')
}

// appendString appends a string.
func appendString(b []byte, s string) []byte {
	return append(appendText(append(b, '"'), s), '"')
}

// appendText appends what stands between the quotes of a string. Besides what JSON demands it
// escapes the controls of C1, and the characters that change the order of text, so that a line can
// be shown on a terminal.
func appendText(b []byte, s string) []byte {
	from := 0 // what is behind it has not been appended
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if c < utf8.RuneSelf || n == 1 || unsafeRune(r) {
			b = append(b, s[from:i]...)
			b = appendEscape(b, r)
			from = i + n
		}
		i += n
	}
	return append(b, s[from:]...)
}

// unsafeRune reports whether a terminal, a browser or a script may do more with r than show it:
// controls, line separators and the marks of bidirectional text.
func unsafeRune(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x61c || r == 0xfeff ||
		r >= 0x200e && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// appendEscape appends a character of JSON that is escaped; r is below 0x10000.
func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	const digits = "0123456789abcdef"
	return append(b, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}
