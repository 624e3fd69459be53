package header

import (
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/syntax"
)

// The check methods do not compare content-length with what arrives as DATA, and of a message that
// is TooLarge they check the fields that are there.

// CheckRequest returns a *frame.StreamError of PROTOCOL_ERROR where m is no well-formed head of a
// request (RFC 9113 §8.1.1, §8.3.1, §8.5): the broken rule as a section of an RFC, and a fixed
// text that holds no octet of the peer. connectProtocol says that the receiver has sent
// SETTINGS_ENABLE_CONNECT_PROTOCOL, without which :protocol is malformed (RFC 8441 §3).
func (m *Message) CheckRequest(id uint32, connectProtocol bool) error {
	if f := m.requestFault(connectProtocol); f != faultNone {
		return f.of(id)
	}
	return nil
}

// CheckResponse is CheckRequest for the head of a response, interim or final (RFC 9113 §8.3.2).
func (m *Message) CheckResponse(id uint32) error {
	if f := m.responseFault(); f != faultNone {
		return f.of(id)
	}
	return nil
}

// CheckTrailers is CheckRequest for the trailer section of a request or a response (RFC 9113
// §8.1).
func (m *Message) CheckTrailers(id uint32) error {
	if f := m.trailersFault(); f != faultNone {
		return f.of(id)
	}
	return nil
}

// CheckPromise is CheckRequest for a request that is promised (RFC 9113 §8.4).
func (m *Message) CheckPromise(id uint32) error {
	if f := m.promiseFault(); f != faultNone {
		return f.of(id)
	}
	return nil
}

// of is f, which is not faultNone, as an error of stream id.
func (f fault) of(id uint32) error {
	section, reason := f.text()
	return frame.NewStreamError(id, frame.ProtocolError, section, reason)
}

// requestFault checks m as the head of a request.
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
	// Health checks of proxies name no host. RFC 9113 §8.3.1 asks for one, but does not call
	// the request malformed, and RFC 9110 §7.2 lets Host be empty where there is no authority.
	return faultNone
}

// connectFault checks a CONNECT request without :protocol (RFC 9113 §8.5).
func (m *Message) connectFault() fault {
	_, port := syntax.SplitPort(m.Authority)
	switch {
	case m.seen&(seenScheme|seenPath) != 0:
		return faultConnectPseudo
	case m.seen&seenAuthority == 0:
		return m.missing(faultNoAuthority)
	case port == "":
		return faultConnectPort
	case m.hosts != 0:
		return m.hostFault()
	}
	return faultNone
}

// hostFault checks the one host field, against :authority where there is one (RFC 9113 §8.3.1).
func (m *Message) hostFault() fault {
	if m.seen&seenAuthority != 0 && m.host == m.Authority {
		return faultNone // what is a valid :authority is a valid host
	}
	if !syntax.ValidAuthority(m.host) {
		return faultHost
	}
	if m.seen&seenAuthority != 0 && !syntax.SameAuthority(m.Scheme, m.host, m.Authority) {
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

// responseFault checks m as the head of a response.
func (m *Message) responseFault() fault {
	switch {
	case m.fault != faultNone:
		return m.fault
	case m.seen&^seenStatus != 0:
		return faultRequestPseudo
	case m.seen&seenStatus == 0:
		return m.missing(faultNoStatus)
	case m.Status == 101:
		return faultSwitchingProtocols
	case m.te:
		return faultTEOutsideRequest
	}
	return faultNone
}

// trailersFault checks m as a trailer section.
func (m *Message) trailersFault() fault {
	switch {
	case m.seen != 0:
		return faultTrailerPseudo
	case m.fault != faultNone:
		return m.fault
	case m.te:
		return faultTEOutsideRequest
	}
	return faultNone
}

// promiseFault checks m as a request that is promised.
func (m *Message) promiseFault() fault {
	if f := m.requestFault(false); f != faultNone {
		return f
	}
	if m.Method != "GET" && m.Method != "HEAD" || m.ContentLength > 0 || m.TooLarge || m.Authority == "" {
		return faultPromise
	}
	return faultNone
}
