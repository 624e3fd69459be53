package header

import (
	"github.com/sluice-go/sluice/internal/syntax"
	"github.com/sluice-go/sluice/stream/priority"
)

// validatedField is a field with the results of its validation.
type validatedField struct {
	name, value string
	num         int64  // the value of :status or content-length; of priority, once parsed, 1 + its Packed
	octets      uint32 // its size in a header list
	kind        kind
	fault       fault
}

// validate returns a field with all that its name and value say of it.
func validate(name, value string) validatedField {
	j := validatedField{name: name, value: value, octets: uint32(fieldSize(name, value))}
	known := lookup(name)
	if j.kind = known.kind; known.Lower == "" {
		j.kind = classifyName(name)
	}
	if j.fault = j.kind.nameFault(); j.fault == faultNone {
		j.num, j.fault = valueFault(j.kind, value)
	}
	return j
}

// The limits of the field cache. A peer mostly sends the same fields in the same order, message
// after message, and they come out of the table as the very same strings. So the results for the
// field that was at the same place in the block before nearly always hold.
const (
	maxCachedFields    = 32  // fields of a block that are cached
	maxCachedFieldSize = 320 // octets of a field that is cached
)

// emit adds a field that hpack.Decoder has decoded to the message.
func (d *Decoder) emit(f Field) {
	index := d.maxFields - d.linesLeft
	if index < len(d.fieldCache) {
		if j := &d.fieldCache[index]; j.name == f.Name && j.value == f.Value && j.octets != 0 {
			d.add(j, f.Sensitive)
			return
		}
	}
	j := validate(f.Name, f.Value)
	if j.fault == faultValueSpace && d.client && !j.kind.pseudo() {
		j = validate(f.Name, syntax.TrimValue(f.Value))
		j.octets = uint32(fieldSize(f.Name, f.Value))
	}
	d.add(&j, f.Sensitive)
	if j.octets > maxCachedFieldSize || len(j.value) != len(f.Value) {
		j = validatedField{} // with no octets it stands for no field
	}
	switch {
	case index < len(d.fieldCache):
		d.fieldCache[index] = j
	case index == len(d.fieldCache) && index < maxCachedFields:
		d.fieldCache = append(d.fieldCache, j)
	}
}

// add adds a field line to the message. Where that is over the limits the message is TooLarge, and
// the rest of the block is decoded only as far as the table needs it.
func (d *Decoder) add(j *validatedField, never bool) {
	if uint64(j.octets) > d.octetsLeft || d.linesLeft <= 0 {
		d.m.TooLarge = true
		d.hpack.SetEmitEnabled(false)
		return
	}
	d.octetsLeft -= uint64(j.octets)
	d.linesLeft--
	if j.kind == kindCookie {
		if j.fault != faultNone {
			d.m.addFault(j.fault)
		}
		d.addCookie(j, never)
		return
	}
	d.m.add(j, never)
}

// add adds a field line to m.
func (m *Message) add(j *validatedField, never bool) {
	if j.fault != faultNone {
		m.addFault(j.fault)
	}
	switch {
	case j.kind == kindPlain:
		m.addField(j, never)
	case j.kind <= kindStatus:
		m.addPseudo(j)
	default:
		m.addSpecial(j, never)
	}
}

// addFault records a fault; the first one counts.
func (m *Message) addFault(f fault) {
	if m.fault == faultNone {
		m.fault = f
	}
}

func (m *Message) addField(j *validatedField, never bool) {
	if cap(m.Fields) == 0 {
		m.Fields = make([]Field, 0, 8)
	}
	m.Fields = append(m.Fields, Field{Name: j.name, Value: j.value, Sensitive: never})
}

// addSpecial is add for regular fields that mean something to HTTP/2. Those whose name is malformed
// are not kept.
func (m *Message) addSpecial(j *validatedField, never bool) {
	switch j.kind {
	case kindHost:
		if m.hosts == 0 {
			m.host = j.value
		}
		m.hosts = min(m.hosts+1, 2)
		m.addField(j, never)
	case kindCookie:
		m.addField(j, never)
	case kindContentLength:
		// Equal values may be taken as one (RFC 9110 §8.6), but no honest sender has two.
		if m.ContentLength >= 0 {
			m.addFault(faultDuplicateContentLength)
		} else if j.fault == faultNone {
			m.ContentLength = j.num
		}
		m.addField(j, never)
	case kindTE:
		m.te = true
		m.addField(j, never)
	case kindPriority:
		m.addPriority(j)
		m.addField(j, never)
	}
}

// maxPriorityLines is how many priority fields of a message are parsed.
const maxPriorityLines = 4

// addPriority adds the parameters of a priority field. A further line adds to the Dictionary, and
// replaces parameters that it repeats (RFC 8941 §3.2).
//
// Values that are too long, and lines beyond the first few, are not parsed, since one octet of a
// block can stand for a line of some KiB. RFC 9218 §4 lets a server choose which signals it
// follows.
func (m *Message) addPriority(j *validatedField) {
	if m.priorities == maxPriorityLines || len(j.value) > priority.MaxFieldLen {
		return
	}
	m.priorities++
	if m.Priority == 0 {
		if j.num == 0 {
			j.num = 1 + int64(parsePriority(j.value))
		}
		m.Priority = priority.Packed(j.num - 1)
		return
	}
	var p priority.Params
	m.Priority.Apply(&p)
	p, _ = p.Merge(j.value)
	m.Priority = p.Pack()
}

// addPseudo keeps a pseudo-header field (RFC 9113 §8.3), the first of its name.
func (m *Message) addPseudo(j *validatedField) {
	bit := pseudoSet(1) << (j.kind - kindMethod)
	if m.seen&bit != 0 {
		m.addFault(faultDuplicatePseudo)
		return
	}
	if len(m.Fields) > 0 {
		m.addFault(faultLatePseudo)
	}
	m.seen |= bit
	switch j.kind {
	case kindMethod:
		m.Method = j.value
	case kindScheme:
		m.Scheme = j.value
	case kindAuthority:
		m.Authority = j.value
	case kindPath:
		m.Path = j.value
	case kindProtocol:
		m.Protocol = j.value
	case kindStatus:
		if j.fault == faultNone {
			m.Status = int(j.num)
		}
	}
}

// parsePriority parses the value of a priority field (RFC 9218 §5). A value that is not valid
// states nothing.
func parsePriority(value string) priority.Packed {
	p, _ := priority.Parse(value)
	return p.Pack()
}
