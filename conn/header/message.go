package header

import (
	"github.com/sluice-go/sluice/stream/priority"
	"golang.org/x/net/http2/hpack"
)

// Field is one field line. Names are lowercase (RFC 9113 §8.2). A Sensitive field was, or is to
// be, encoded as a literal that no intermediary may index (RFC 7541 §7.1.3).
type Field = hpack.HeaderField

// A Message is one decoded header block: the head of a request or of a response, or a trailer
// section.
//
// The fields up to the first fault are there even in a malformed message, so that it can be
// answered and logged; only the check methods decide whether it is well-formed.
type Message struct {
	// The pseudo-header fields (RFC 9113 §8.3, RFC 8441 §4), empty or 0 where absent.
	Method, Scheme, Authority, Path, Protocol string

	// Status is 100 to 999.
	Status int

	// Fields are the regular fields in order of arrival, names in lowercase. Cookie crumbs are
	// joined to one field that stands where the first crumb stood (RFC 9113 §8.2.3).
	Fields []Field

	// ContentLength is the value of content-length, -1 when there is none.
	ContentLength int64

	// TooLarge reports that the block had more octets, counted as RFC 9113 §6.5.2 counts them, or
	// more field lines than allowed. The fields within the limits are there, so that a 431 can be
	// answered.
	TooLarge bool

	// Priority is what the priority fields state (RFC 9218 §5), as far as they are valid.
	Priority priority.Packed

	// The rest is for the check methods, which know which kind of message this is.
	seen  pseudoSet // the pseudo-header fields that are there
	fault fault     // the first fault of a field
	te    bool      // there is a te field

	priorities uint8  // the number of priority fields that were parsed
	hosts      uint8  // the number of host fields: 0, 1, or 2 for more than one
	host       string // the value of the first host field
}

// NewMessage makes a message of fields that did not come from a peer, to be checked as if they had.
func NewMessage(fields []Field) (m Message) {
	m.ContentLength = -1
	for i := range fields {
		j := validate(fields[i].Name, fields[i].Value)
		m.add(&j, fields[i].Sensitive)
	}
	return m
}

// reset makes m an empty message. It keeps the memory for some fields, and no string.
func (m *Message) reset() {
	fields := m.emptyFields()
	*m = Message{}
	m.Fields, m.ContentLength = fields, -1
}

// emptyFields clears the fields and returns their memory for the next message in m, nil if there
// were many.
func (m *Message) emptyFields() []Field {
	clear(m.Fields)
	if cap(m.Fields) > maxKeptFields {
		return nil
	}
	return m.Fields[:0]
}

// pseudoSet says which pseudo-header fields a message has: one bit for each kind.
type pseudoSet uint8

const (
	seenMethod pseudoSet = 1 << iota
	seenScheme
	seenAuthority
	seenPath
	seenProtocol
	seenStatus
)
