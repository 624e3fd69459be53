package header

// fault is one way in which a message can be malformed (RFC 9113 §8.1.1). The zero fault is none.
type fault uint8

const (
	faultNone fault = iota
	faultEmptyName
	faultUpperName
	faultName
	faultUnknownPseudo
	faultDuplicatePseudo
	faultLatePseudo
	faultRequestPseudo
	faultResponsePseudo
	faultTrailerPseudo
	faultValue
	faultValueSpace
	faultConnectionSpecific
	faultTE
	faultTEOutsideRequest
	faultMethod
	faultScheme
	faultAuthority
	faultPath
	faultProtocol
	faultStatus
	faultSwitchingProtocols
	faultNoMethod
	faultNoScheme
	faultNoPath
	faultNoAuthority
	faultNoStatus
	faultConnectPseudo
	faultConnectPort
	faultHost
	faultDuplicateHost
	faultHostMismatch
	faultContentLength
	faultDuplicateContentLength
	faultPromise
	numFaults
)

// faultTexts has the broken rule of every fault, and words for it that hold nothing of the peer's.
var faultTexts = [numFaults][2]string{
	faultEmptyName:              {"RFC 9113 §8.2.1", "empty field name"},
	faultUpperName:              {"RFC 9113 §8.2.1", "uppercase letter in a field name"},
	faultName:                   {"RFC 9113 §8.2.1", "invalid character in a field name"},
	faultUnknownPseudo:          {"RFC 9113 §8.3", "unknown pseudo-header field"},
	faultDuplicatePseudo:        {"RFC 9113 §8.3", "pseudo-header field more than once"},
	faultLatePseudo:             {"RFC 9113 §8.3", "pseudo-header field after a regular field"},
	faultRequestPseudo:          {"RFC 9113 §8.3", "pseudo-header field of a request in a response"},
	faultResponsePseudo:         {"RFC 9113 §8.3", "pseudo-header field of a response in a request"},
	faultTrailerPseudo:          {"RFC 9113 §8.1", "pseudo-header field in trailers"},
	faultValue:                  {"RFC 9113 §8.2.1", "control character in a field value"},
	faultValueSpace:             {"RFC 9113 §8.2.1", "field value begins or ends with whitespace"},
	faultConnectionSpecific:     {"RFC 9113 §8.2.2", "connection-specific field"},
	faultTE:                     {"RFC 9113 §8.2.2", "te other than trailers"},
	faultTEOutsideRequest:       {"RFC 9113 §8.2.2", "te outside the head of a request"},
	faultMethod:                 {"RFC 9113 §8.3.1", "invalid :method"},
	faultScheme:                 {"RFC 9113 §8.3.1", "invalid :scheme"},
	faultAuthority:              {"RFC 9113 §8.3.1", "invalid :authority"},
	faultPath:                   {"RFC 9113 §8.3.1", "invalid :path"},
	faultProtocol:               {"RFC 8441 §4", "invalid or unexpected :protocol"},
	faultStatus:                 {"RFC 9113 §8.3.2", "invalid :status"},
	faultSwitchingProtocols:     {"RFC 9113 §8.6", ":status 101"},
	faultNoMethod:               {"RFC 9113 §8.3.1", "no :method"},
	faultNoScheme:               {"RFC 9113 §8.3.1", "no :scheme"},
	faultNoPath:                 {"RFC 9113 §8.3.1", "no :path"},
	faultNoAuthority:            {"RFC 9113 §8.3.1", "neither :authority nor host"},
	faultNoStatus:               {"RFC 9113 §8.3.2", "no :status"},
	faultConnectPseudo:          {"RFC 9113 §8.5", "CONNECT with :scheme or :path"},
	faultConnectPort:            {"RFC 9113 §8.5", "CONNECT without a port in :authority"},
	faultHost:                   {"RFC 9113 §8.3.1", "invalid host"},
	faultDuplicateHost:          {"RFC 9110 §7.2", "more than one host field"},
	faultHostMismatch:           {"RFC 9113 §8.3.1", "host differs from :authority"},
	faultContentLength:          {"RFC 9110 §8.6", "invalid content-length"},
	faultDuplicateContentLength: {"RFC 9110 §8.6", "more than one content-length"},
	faultPromise:                {"RFC 9113 §8.4", "promised request is not safe, cacheable and without content"},
}

func (f fault) text() (section, reason string) {
	t := &faultTexts[f]
	return t[0], t[1]
}
