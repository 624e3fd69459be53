package header

import "strings"

const crumbSeparator = "; "

// addCookie keeps the first cookie as a field and the others as crumbs for joinCookies.
func (d *Decoder) addCookie(j *validatedField, never bool) {
	if d.cookie == 0 {
		d.m.addField(j, never)
		d.cookie = len(d.m.Fields)
		return
	}
	d.crumbs = append(d.crumbs, j.value)
	if never {
		d.m.Fields[d.cookie-1].Sensitive = true
	}
}

// joinCookies makes one field of the crumbs (RFC 9113 §8.2.3), copying each once.
func (d *Decoder) joinCookies() {
	f := &d.m.Fields[d.cookie-1]
	switch {
	case d.isJoinedCookie(f.Value):
		f.Value = d.joined
	case d.repeatsCrumbs(f.Value):
		d.m.TooLarge = true
	default:
		f.Value = d.join(f.Value)
		d.joined = ""
		if len(f.Value) <= maxKeptCookies {
			d.joined = f.Value
		}
	}
	clear(d.crumbs)
	d.crumbs = d.crumbs[:0]
	if cap(d.crumbs) > maxKeptFields {
		d.crumbs = nil
	}
}

// cookieSlack is how many octets joined cookies may have beyond twice the length of the block and
// twice the size of the table.
const cookieSlack = 8 << 10

// repeatsCrumbs reports whether the joined cookies would be so long that the block must have the
// same crumbs many times. The table holds a crumb once and one octet refers to it, while the joined
// cookies of each request are memory of their own: a small block would cost a lot of it.
func (d *Decoder) repeatsCrumbs(first string) bool {
	return int64(d.joinedLen(first)) > 2*int64(len(d.block))+2*int64(d.tableMax)+cookieSlack
}

func (d *Decoder) joinedLen(first string) int {
	n := len(first)
	for _, c := range d.crumbs {
		n += len(crumbSeparator) + len(c)
	}
	return n
}

func (d *Decoder) join(first string) string {
	n := d.joinedLen(first)
	var b strings.Builder
	b.Grow(n)
	b.WriteString(first)
	for _, c := range d.crumbs {
		b.WriteString(crumbSeparator)
		b.WriteString(c)
	}
	return b.String()
}

// isJoinedCookie reports whether join would return d.joined, the cookies of the block before.
func (d *Decoder) isJoinedCookie(first string) bool {
	rest, ok := strings.CutPrefix(d.joined, first)
	for i := 0; ok && i < len(d.crumbs); i++ {
		if rest, ok = strings.CutPrefix(rest, crumbSeparator); ok {
			rest, ok = strings.CutPrefix(rest, d.crumbs[i])
		}
	}
	return ok && rest == ""
}
