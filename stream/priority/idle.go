package priority

// maxWords bounds for how many idle streams a priority is kept. It is not below
// the usual limit of concurrent streams, with which RFC 9218 §7.1 bounds them.
const maxWords = 256

// words are the priorities of streams that are not open yet, oldest first. There
// are few, mostly none, so a list will do.
type words []word

type word struct {
	id    uint32
	class class
}

// put keeps c for stream id in place of what was said before. Beyond maxWords the
// oldest word is lost.
func (w *words) put(id uint32, c class) {
	for i := range *w {
		if (*w)[i].id == id {
			(*w)[i].class = c
			return
		}
	}
	if len(*w) >= maxWords {
		copy(*w, (*w)[1:])
		*w = (*w)[:maxWords-1]
	}
	*w = append(*w, word{id, c})
}

// take returns what was said about stream id, which opens now, and 0 when nothing
// was. Words for streams that this one has closed (RFC 9113 §5.1.1) are dropped.
func (w *words) take(id uint32) (c class) {
	if len(*w) == 0 {
		return 0
	}
	rest := (*w)[:0]
	for _, x := range *w {
		switch {
		case x.id == id:
			c = x.class
		case x.id < id && x.id&1 == id&1:
		default:
			rest = append(rest, x)
		}
	}
	*w = rest
	if len(rest) == 0 {
		*w = nil // few connections use this more than now and then
	}
	return c
}

// opened are the highest identifiers of streams that were open, of even and odd
// ones: above are those that are idle (RFC 9113 §5.1.1).
type opened [2]uint32

func (o *opened) add(id uint32)       { o[id&1] = max(o[id&1], id) }
func (o *opened) idle(id uint32) bool { return id > o[id&1] }
