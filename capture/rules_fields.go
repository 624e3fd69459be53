package capture

import (
	"slices"
	"strings"

	"github.com/sluice-go/sluice/frame"
)

// headerTypes are the frames that may end a header block.
var headerTypes = types(frame.TypeHeaders, frame.TypePushPromise, frame.TypeContinuation)

// fieldRules are about the fields of messages (RFC 9113 §8.2, §8.3), which package conn/header
// checks. The sections of its errors say which rule is broken.
var fieldRules = []rule{
	fieldRule("field-invalid", "a field has an invalid name or value", each,
		"Names are tokens in lower case; values have no control characters, and no whitespace at their ends. A proxy that "+
			"translates such a field to HTTP/1.1 may let a request be smuggled in. The receiver resets the stream with "+
			"PROTOCOL_ERROR.",
		"RFC 9113 §8.2.1"),
	fieldRule("field-connection-specific", "a field of HTTP/1.1 that HTTP/2 does not have", each,
		"connection, keep-alive, proxy-connection, transfer-encoding and upgrade are not sent in HTTP/2, and te has no "+
			"value but trailers, and no place but in requests.",
		"RFC 9113 §8.2.2"),
	fieldRule("pseudo-field", "a pseudo-header field where it must not be", each,
		"Pseudo-header fields come once each, before all other fields; those of a request are not in a response, and "+
			"none is in trailers.",
		"RFC 9113 §8.3", "RFC 9113 §8.1"),
	fieldRule("request-head", "a pseudo-header field of a request is missing or invalid", each,
		"A request has :method, :scheme and :path. :path begins with a slash, or is * for OPTIONS: others have let requests "+
			"pass authorization (CVE-2026-33186). :authority has no userinfo, and host does not differ from it.",
		"RFC 9113 §8.3.1"),
	fieldRule("response-head", ":status is missing or invalid", each,
		"A response has one :status of three digits.",
		"RFC 9113 §8.3.2"),
	fieldRule("host-twice", "more than one host field", each,
		"Two servers may take different ones for the host of the request.",
		"RFC 9110 §7.2"),
	fieldRule("connect-head", "a CONNECT request has the wrong pseudo-header fields", each,
		"CONNECT has :method and :authority with a port, and neither :scheme nor :path; those belong to extended CONNECT, "+
			"which has :protocol (RFC 8441).",
		"RFC 9113 §8.5"),
	fieldRule("protocol-field", ":protocol is invalid or unexpected", each,
		"Only CONNECT has :protocol, and only where SETTINGS_ENABLE_CONNECT_PROTOCOL of the server permits it.",
		"RFC 8441 §4"),
	fieldRule("switching-protocols", ":status 101", each,
		"HTTP/2 has no Upgrade. A proxy has passed a response of HTTP/1.1 on.",
		"RFC 9113 §8.6"),
	fieldRule("content-length-invalid", "content-length is invalid or comes twice", each,
		"It is one number of decimal digits. Servers that disagree on it let requests be smuggled in.",
		"RFC 9110 §8.6"),
	fieldRule("promised-request", "a promised request that must not be promised", each,
		"A promised request is safe and cacheable, has no content, and names the authority (RFC 9113 §8.4.1).",
		"RFC 9113 §8.4"),
}

// fieldRule is a rule that package conn/header checks; its errors have one of these sections.
func fieldRule(id, title string, once scope, text string, sections ...string) rule {
	return rule{
		Rule: Rule{
			ID: id, Group: "Fields", Section: sections[0], Severity: Error, Title: title, Text: text,
		},
		once: once, frames: headerTypes, crosses: id == "protocol-field", // SETTINGS of the server may permit it
		check: func(l *lint, f *Frame) *offence {
			section, reason := l.headFault(f)
			if !slices.Contains(sections, section) {
				return nil
			}
			return offend(f, "%v has sent a malformed header section: %s", sideName(f.Dir), reason).of(section)
		},
	}
}

// headFault is what is wrong with the header section that ends with f.
func (l *lint) headFault(f *Frame) (section, reason string) {
	m, id := &l.message, f.Header.StreamID
	var err error
	switch m.kind {
	case noMessage:
	case requestHead:
		s := &l.sides[Server].settings
		err = m.CheckRequest(id, s.unsure || l.anyLossy() || s.most(frame.SettingEnableConnectProtocol) == 1)
	case responseHead, interimHead:
		err = m.CheckResponse(id)
	case trailerSection:
		err = m.CheckTrailers(id)
	case promisedHead:
		err = m.CheckPromise(id)
	}
	_, section, reason, _ = parseError(err)
	return section, reason
}

// quoted shows octets of a peer in the text of a Finding.
func quoted(p []byte) string {
	const most = 200
	s := string(p[:min(len(p), most)])
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, s)
	return `"` + s + `"`
}
