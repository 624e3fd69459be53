package core

import (
	"github.com/sluice-go/sluice/stream/priority"
	"golang.org/x/net/http2/hpack"
)

// Field is one field line. Names are lowercase (RFC 9113 §8.2). A Sensitive field was, or is to be,
// encoded as a literal that no intermediary may index (RFC 7541 §7.1.3).
type Field = hpack.HeaderField

// A Message is one decoded header block: the head of a request or of a response, or a trailer
// section.
//
// The fields up to the first fault are there even in a malformed message, so that it can be
// answered and logged; only checkRequest, checkResponse and checkTrailers tell whether it is
// well-formed.
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

	// What decoding found, to be judged once it is known which kind of message this is.
	seen     pseudoSet
	fault    fault
	te       bool            // there is a te field
	priority priority.Packed // by the priority field

	priorities uint8  // priority fields that were parsed
	hosts      uint8  // host fields: 0, 1, or 2 for more than one
	host       string // the first of them
}

// blank makes m an empty message and holds on to no string. It keeps the memory for some fields.
func (m *Message) blank() {
	fields := m.storage()
	*m = Message{}
	m.Fields, m.ContentLength = fields, -1
}

// storage returns the memory of the fields, emptied, for the next message in m; none if there were
// many.
func (m *Message) storage() []Field {
	clear(m.Fields)
	if cap(m.Fields) > keptFields {
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

// The check methods give the rule that m breaks as a section of an RFC and a fixed text that holds
// no octet of the peer, both empty for a well-formed message (RFC 9113 §8.1.1). They do not compare
// content-length with what arrives as DATA. Of a message that is TooLarge they judge what is there.

// checkRequest judges m as the head of a request (RFC 9113 §8.3.1, §8.5). connectProtocol says that
// we have announced SETTINGS_ENABLE_CONNECT_PROTOCOL, without which :protocol is malformed (RFC
// 8441 §3).
func (m *Message) checkRequest(connectProtocol bool) (section, reason string) {
	return m.requestFault(connectProtocol).text()
}

func (m *Message) requestFault(connectProtocol bool) fault {
	switch {
	case m.fault != faultNone:
		return m.fault
	case m.seen&seenStatus != 0:
		return faultResponsePseudo
	case m.hosts > 1:
		return faultDuplicateHost
	case m.seen&seenMethod == 0:
		return m.missing(faultNoMethod)
	case m.seen&seenProtocol != 0:
		if m.Method != "CONNECT" || !connectProtocol {
			return faultProtocol
		}
	case m.Method == "CONNECT":
		return m.connectFault()
	}
	switch {
	case m.seen&seenScheme == 0:
		return m.missing(faultNoScheme)
	case m.seen&seenPath == 0:
		return m.missing(faultNoPath)
	case m.Path == "*" && m.Method != "OPTIONS":
		return faultPath
	case m.seen&seenAuthority != 0:
		if m.hosts != 0 {
			return m.hostFault()
		}
		return faultNone
	case m.hosts != 0 && m.host != "":
		return m.hostFault()
	case m.Protocol != "":
		return m.missing(faultNoAuthority)
	}
	// Health checks of proxies name no host. RFC 9113 §8.3.1 has them send one, but does not call
	// the request malformed, and RFC 9110 §7.2 lets Host be empty where there is no authority.
	return faultNone
}

// connectFault judges a CONNECT request without :protocol (RFC 9113 §8.5).
func (m *Message) connectFault() fault {
	switch {
	case m.seen&(seenScheme|seenPath) != 0:
		return faultConnectPseudo
	case m.seen&seenAuthority == 0:
		return m.missing(faultNoAuthority)
	case !hasPort(m.Authority):
		return faultConnectPort
	case m.hosts != 0:
		return m.hostFault()
	}
	return faultNone
}

// hostFault judges the one host field, against :authority where there is one (RFC 9113 §8.3.1).
func (m *Message) hostFault() fault {
	if m.seen&seenAuthority != 0 && m.host == m.Authority {
		return faultNone // what is a valid :authority is a valid host
	}
	if !validAuthority(m.host) {
		return faultHost
	}
	if m.seen&seenAuthority != 0 && !sameAuthority(m.Scheme, m.host, m.Authority) {
		return faultHostMismatch
	}
	return faultNone
}

// missing is f, unless what is missing may be among the fields that were dropped.
func (m *Message) missing(f fault) fault {
	if m.TooLarge {
		return faultNone
	}
	return f
}

// checkResponse judges m as the head of a response, interim or final (RFC 9113 §8.3.2).
func (m *Message) checkResponse() (section, reason string) {
	var f fault
	switch {
	case m.fault != faultNone:
		f = m.fault
	case m.seen&^seenStatus != 0:
		f = faultRequestPseudo
	case m.seen&seenStatus == 0:
		f = m.missing(faultNoStatus)
	case m.Status == 101:
		f = faultSwitchingProtocols
	case m.te:
		f = faultTEOutsideRequest
	}
	return f.text()
}

// checkTrailers judges m as a trailer section of either a request or a response (RFC 9113 §8.1).
func (m *Message) checkTrailers() (section, reason string) {
	var f fault
	switch {
	case m.seen != 0:
		f = faultTrailerPseudo
	case m.fault != faultNone:
		f = m.fault
	case m.te:
		f = faultTEOutsideRequest
	}
	return f.text()
}
