package header

// kind says what a field means to the decoder, as far as its name tells.
type kind uint8

const (
	kindPlain kind = iota

	// The pseudo-header fields, in the order of pseudoSet.
	kindMethod
	kindScheme
	kindAuthority
	kindPath
	kindProtocol
	kindStatus

	// Regular fields that mean something to HTTP/2 itself.
	kindHost
	kindCookie
	kindContentLength
	kindTE
	kindPriority

	// Names that make a message malformed.
	kindConnectionSpecific
	kindUnknownPseudo
	kindEmptyName
	kindUpperName
	kindBadName
)

// pseudo reports whether fields of kind k are pseudo-header fields (RFC 9113 §8.3) that are known.
func (k kind) pseudo() bool { return k >= kindMethod && k <= kindStatus }

// nameFault is the fault of a field whose name is of kind k.
func (k kind) nameFault() fault {
	switch k {
	case kindConnectionSpecific:
		return faultConnectionSpecific
	case kindUnknownPseudo:
		return faultUnknownPseudo
	case kindEmptyName:
		return faultEmptyName
	case kindUpperName:
		return faultUpperName
	case kindBadName:
		return faultName
	}
	return faultNone
}

// classifyName gives the kind of a name that is not among the known ones.
func classifyName(name string) kind {
	switch {
	case len(name) == 0:
		return kindEmptyName
	case name[0] == ':':
		return kindUnknownPseudo
	}
	for i := range len(name) {
		c := name[i]
		if classes[c]&classLower == 0 {
			if classes[c]&classUpper != 0 {
				return kindUpperName
			}
			return kindBadName
		}
	}
	return kindPlain
}

// policy says how the encoder represents a field that is not whole in the static table (RFC 7541
// §6, §7.1).
type policy uint8

const (
	// policyIndex: enters the dynamic table, as it is likely to come again.
	policyIndex policy = iota
	// policyPlain: literal without indexing, as it is likely to be different each time.
	policyPlain
	// policyRepeat: like policyPlain, until a value comes twice in a row.
	policyRepeat
	// policyCookie: short values could be guessed by trying what compresses well; long ones are
	// indexed.
	policyCookie
	// policyNever: literal never indexed, for credentials.
	policyNever
)

// knownName is a field name with what both halves of HPACK need to know of it.
type knownName struct {
	name   string
	kind   kind
	policy policy
	first  uint8 // its entries in the static table are first to last; 0 when it has none
	last   uint8
}

// lookupName finds what is known of name. For a name without meaning here it gives an entry
// without a name.
func lookupName(name string) *knownName {
	for i := hashName(name); ; i++ {
		n := &nameTable[i%nameSlots]
		if n.name == name || n.name == "" {
			return n
		}
	}
}

// hashName looks at few octets. Names that a peer makes to collide cost nothing in nameTable, which
// holds only our own.
func hashName(name string) uint32 {
	n := uint32(len(name))
	if n == 0 {
		return 0
	}
	h := n*hashA + uint32(name[0])*hashB + uint32(name[n/2])*hashC + uint32(name[n-1])*hashD
	return h ^ h>>9
}

const (
	nameSlots = 512
	hashA     = 0x9e3779b1
	hashB     = 0x85ebca77
	hashC     = 0xc2b2ae3d
	hashD     = 0x27d4eb2f
)

var nameTable = makeNameTable()

func makeNameTable() (t [nameSlots]knownName) {
	for _, n := range knownNames() {
		slot := hashName(n.name)
		for t[slot%nameSlots].name != "" {
			slot++
		}
		t[slot%nameSlots] = n
	}
	return t
}
