package priority

// The urgency of a response for which none is stated, and the last urgency (RFC 9218 §4.1).
const (
	DefaultUrgency = 3
	MaxUrgency     = 7
)

// MaxFieldLen is the length of a Priority Field Value, in octets, beyond which a receiver need not
// parse it: none is ever as long. Parse has no bound of its own.
const MaxFieldLen = 256

// Parse reads the value of a priority field, or of the Priority Field Value in PRIORITY_UPDATE
// (RFC 9218 §4): a dictionary of structured fields. Parameters that it does not name have their
// defaults, and so have those that are out of range or of the wrong type; unknown members are
// ignored. An empty value is valid. ok is false when the value is not a dictionary
// (RFC 8941 §4.2): then the complete field is to be ignored, and PRIORITY_UPDATE may be a
// connection error.
//
// The caller joins the field lines of a message with ", ". Parse allocates nothing.
func Parse(value string) (p Params, ok bool) { return Params{}.Merge(value) }

// Merge is Parse for the priority field of a response: parameters that value does not name stay as
// they are in p, the priority that the client has asked for (RFC 9218 §8). When ok is false the
// result is p.
func (p Params) Merge(value string) (merged Params, ok bool) {
	base := Params{Extensible: true, Urgency: DefaultUrgency}
	if p.Extensible {
		base.Urgency, base.Incremental = min(p.Urgency, MaxUrgency), p.Incremental
	}
	merged = base
	s := scanner{rest: value}
	s.skip(" ")
	for s.rest != "" {
		key, item, ok := s.member()
		if !ok {
			return p, false
		}
		switch key { // the last member of a name counts, also if its value is ignored
		case "u":
			merged.Urgency = base.Urgency
			if item.kind == integer && item.num >= 0 && item.num <= MaxUrgency {
				merged.Urgency = uint8(item.num)
			}
		case "i":
			merged.Incremental = base.Incremental
			if item.kind == boolean {
				merged.Incremental = item.num == 1
			}
		}
		if s.skip(" \t"); s.rest == "" {
			break
		}
		if !s.eat(',') {
			return p, false
		}
		if s.skip(" \t"); s.rest == "" {
			return p, false // a comma at the end
		}
	}
	return merged, true
}

var fieldValues = [2][MaxUrgency + 1]string{
	{"u=0", "u=1", "u=2", "u=3", "u=4", "u=5", "u=6", "u=7"},
	{"u=0, i", "u=1, i", "u=2, i", "u=3, i", "u=4, i", "u=5, i", "u=6, i", "u=7, i"},
}

// Field returns the value of a priority field, or of PRIORITY_UPDATE, that states p's urgency and
// incremental (RFC 9218 §4); an urgency above 7 is 7. It returns "" when p does not state them.
func (p Params) Field() string {
	if !p.Extensible {
		return ""
	}
	values := &fieldValues[0]
	if p.Incremental {
		values = &fieldValues[1]
	}
	return values[min(p.Urgency, MaxUrgency)]
}
