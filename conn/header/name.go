package header

import (
	"strings"

	"github.com/sluice-go/sluice/internal/syntax"
)

// Name is a field name in its two spellings, as RFC 9113 §8.2 has it on the wire and as the keys
// of net/http's header maps, with what there is to know of it.
type Name struct {
	Lower, Canon string
	Meaning      Meaning
	kind         kind
	indexing     indexing
	first, last  uint8 // its entries in the static table; 0 when it has none
}

// Meaning says what a field name means to a server or a client, beyond being a key of a header map.
type Meaning uint8

// The meanings. Each package looks at those that concern it.
const (
	Plain              Meaning = iota
	Host                       // request: is Request.Host
	Expect                     // request: 100-continue
	Trailer                    // announces keys of the trailer section
	Connection                 // not sent (RFC 9113 §8.2.2), "close" ends the connection
	ConnectionSpecific         // not sent (RFC 9113 §8.2.2)
	ContentLength              // sent by server and client themselves, in one form
	ContentType                // response: the content is not sniffed
	ContentEncoding            // response: the content is not sniffed, unless the value is empty
	Date                       // response: the server adds no date
	Cookie                     // request: sent in crumbs (RFC 9113 §8.2.3)
	UserAgent                  // request: there is a default
	Credentials                // request: never indexed (RFC 7541 §7.1.3)
	TE                         // request: "trailers" only (RFC 9113 §8.2.2)
	Priority                   // response: overrides the priority that the client has asked for (RFC 9218 §8)
	EarlyData                  // request: was sent in early data to a proxy (RFC 8470 §5.1)
)

// kind says what a field means to the decoder, as far as its name says it.
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

// nameFault is the fault of a field whose name is of kind k (RFC 9113 §8.2.1, §8.2.2).
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

// classifyName gives the kind of a name that is not in the table.
func classifyName(name string) kind {
	switch {
	case len(name) == 0:
		return kindEmptyName
	case name[0] == ':':
		return kindUnknownPseudo
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z':
			return kindUpperName
		case !syntax.TokenChar(c):
			return kindBadName
		}
	}
	return kindPlain
}

// indexing says how the encoder represents a field that is not whole in the static table (RFC 7541
// §6, §7.1).
type indexing uint8

const (
	// indexAlways: enters the dynamic table, as it is likely to come again.
	indexAlways indexing = iota
	// indexNot: literal without indexing, as it is likely to be different each time.
	indexNot
	// indexRepeated: like indexNot, until a value comes twice in a row.
	indexRepeated
	// indexLong: short values could be guessed by trying what compresses well, and are never
	// indexed; long ones are.
	indexLong
	// indexNever: literal never indexed, for credentials.
	indexNever
)

// lookup finds a name by its spelling on the wire. For one that is not in the table it gives a Name
// whose Lower is empty.
func lookup(lower string) *Name {
	for i := hashName(lower); ; i++ {
		if n := &nameTable[i%nameSlots]; n.Lower == lower || n.Lower == "" {
			return n
		}
	}
}

// ByLower finds a field name by its spelling on the wire, which must be a token in lower case. Any
// goroutine may call it.
func ByLower(lower string) *Name {
	for i := hashName(lower); ; i++ {
		n := &nameTable[i%nameSlots]
		if n.Lower == lower && lower != "" {
			return n
		}
		if n.Lower == "" {
			break
		}
	}
	set := namesByLower.set(lower)
	for i := range set {
		if n := set[i].Load(); n != nil && n.Lower == lower {
			return n
		}
	}
	lower = strings.Clone(lower) // it may be a piece of something large
	n := &Name{Lower: lower, Canon: canonical(lower)}
	namesByLower.put(lower, n)
	return n
}

// ByKey finds a field name by a key of an http.Header, which the application may have spelled in
// any way. It is nil for a key that is no field name. Any goroutine may call it.
func ByKey(key string) *Name {
	for i := hashName(key); ; i++ {
		n := &nameTable[i%nameSlots]
		if n.Canon == key && key != "" {
			return n
		}
		if n.Lower == "" {
			break
		}
	}
	set := namesByKey.set(key)
	for i := range set {
		if n := set[i].Load(); n != nil && n.Canon == key {
			return n
		}
	}
	if !syntax.ValidToken(key) {
		return nil
	}
	if canonical(key) != key {
		return ByLower(strings.ToLower(key))
	}
	n := &Name{Lower: strings.ToLower(key), Canon: strings.Clone(key)}
	namesByKey.put(key, n)
	return n
}

// canonical is the form in which net/http has the token s as a key: a capital at the beginning and
// behind each hyphen, and small letters elsewhere.
func canonical(s string) string {
	b := []byte(s)
	first := true
	for i, c := range b {
		if first && 'a' <= c && c <= 'z' || !first && 'A' <= c && c <= 'Z' {
			b[i] = c ^ 0x20
		}
		first = c == '-'
	}
	return string(b)
}

// hashName is the same for both spellings of a name, and looks at few octets. Names that a peer
// makes to collide cost nothing in nameTable, which holds only ours.
func hashName(name string) uint32 {
	n := uint32(len(name))
	if n == 0 {
		return 0
	}
	const fold = 0x20 // upper case to lower, and of hyphens and digits no change
	h := n*hashA + uint32(name[0]|fold)*hashB + uint32(name[n/2]|fold)*hashC + uint32(name[n-1]|fold)*hashD
	return h ^ h>>15
}

// The factors of hashName, chosen so that all but five names of the table are in the slot of their
// hash.
const (
	hashA = 0x24d0e019
	hashB = 0x0734a71d
	hashC = 0x35636429
	hashD = 0x84cd77db
)
