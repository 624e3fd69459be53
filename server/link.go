package server

import (
	"iter"
	"strings"
)

// link is one link of a Link field, as far as it matters for preloading (RFC 8288 §3).
type link struct {
	target   string
	rel      string // value of the first parameter rel
	hasRel   bool   // there is a parameter rel
	nopush   bool
	anchored bool // the link has a context of its own (parameter anchor), not the response
}

// preloads reports whether the target is to be loaded together with the response.
func (l *link) preloads() bool {
	if l.anchored {
		return false
	}
	for rel := range strings.FieldsSeq(l.rel) {
		if strings.EqualFold(rel, "preload") {
			return true
		}
	}
	return false
}

// linkSpace is optional white space (RFC 9110 §5.6.3).
const linkSpace = " \t"

// parseLinks yields the links of one Link field, by the algorithm of RFC 8288 Appendix B.2, which
// stops where something is no link.
func parseLinks(v string) iter.Seq[link] {
	return func(yield func(link) bool) {
		for {
			v = strings.TrimLeft(v, linkSpace+",")
			if v == "" || v[0] != '<' {
				return
			}
			end := strings.IndexByte(v, '>')
			if end < 0 {
				return
			}
			l := link{target: v[1:end]}
			v = l.params(v[end+1:])
			if !yield(l) {
				return
			}
			if v = strings.TrimLeft(v, linkSpace); v == "" || v[0] != ',' {
				return
			}
		}
	}
}

// params reads the parameters of l from v (RFC 8288 Appendix B.3), and returns the rest of v.
func (l *link) params(v string) (rest string) {
	for {
		v = strings.TrimLeft(v, linkSpace)
		if v == "" || v[0] != ';' {
			return v
		}
		v = strings.TrimLeft(v[1:], linkSpace)
		n := strings.IndexAny(v, linkSpace+"=;,")
		if n < 0 {
			n = len(v)
		}
		name, value := strings.ToLower(v[:n]), ""
		v = strings.TrimLeft(v[n:], linkSpace)
		if v != "" && v[0] == '=' {
			value, v = linkValue(strings.TrimLeft(v[1:], linkSpace))
		}
		switch {
		case name == "rel" && !l.hasRel:
			l.rel, l.hasRel = value, true
		case name == "nopush":
			l.nopush = true
		case name == "anchor":
			l.anchored = true
		}
	}
}

// linkValue reads a token or a quoted string from v, and returns the rest of v.
func linkValue(v string) (value, rest string) {
	if v == "" || v[0] != '"' {
		n := strings.IndexAny(v, ";,")
		if n < 0 {
			n = len(v)
		}
		return strings.TrimRight(v[:n], linkSpace), v[n:]
	}
	var b strings.Builder
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '"':
			return b.String(), v[i+1:]
		case '\\':
			if i++; i == len(v) {
				return b.String(), ""
			}
		}
		b.WriteByte(v[i])
	}
	return b.String(), ""
}
