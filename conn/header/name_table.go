package header

// nameSlots is a power of two, about four times the number of names.
const nameSlots = 512

// nameTable is a hash table of the names below, with linear probing.
var nameTable = makeNameTable()

func makeNameTable() (t [nameSlots]Name) {
	for _, n := range knownNames() {
		slot := hashName(n.Lower)
		for t[slot%nameSlots].Lower != "" {
			slot++
		}
		t[slot%nameSlots] = n
	}
	return t
}

// knownNames lists the names of the static table, those that mean something, and those that are
// common enough to be found in both spellings, and validated, without a look at each octet.
func knownNames() []Name {
	names := []Name{
		{Lower: ":authority", kind: kindAuthority},
		{Lower: ":method", kind: kindMethod},
		{Lower: ":path", kind: kindPath, indexing: indexNot},
		{Lower: ":protocol", kind: kindProtocol},
		{Lower: ":scheme", kind: kindScheme},
		{Lower: ":status", kind: kindStatus},

		{Lower: "authorization", Meaning: Credentials, indexing: indexNever},
		{Lower: "connection", Meaning: Connection, kind: kindConnectionSpecific},
		{Lower: "content-encoding", Meaning: ContentEncoding},
		{Lower: "content-length", Meaning: ContentLength, kind: kindContentLength, indexing: indexNot},
		{Lower: "content-type", Meaning: ContentType},
		{Lower: "cookie", Meaning: Cookie, kind: kindCookie, indexing: indexLong},
		{Lower: "date", Meaning: Date, indexing: indexRepeated}, // one value for a second
		{Lower: "early-data", Meaning: EarlyData},
		{Lower: "expect", Meaning: Expect},
		{Lower: "host", Meaning: Host, kind: kindHost},
		{Lower: "keep-alive", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "priority", Meaning: Priority, kind: kindPriority},
		{Lower: "proxy-authorization", Meaning: Credentials, indexing: indexNever},
		{Lower: "proxy-connection", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "te", Meaning: TE, kind: kindTE},
		{Lower: "trailer", Meaning: Trailer},
		{Lower: "transfer-encoding", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "upgrade", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "user-agent", Meaning: UserAgent},
	}
	for _, name := range changingNames {
		names = append(names, Name{Lower: name, indexing: indexNot})
	}
	for _, name := range steadyNames {
		names = append(names, Name{Lower: name})
	}
	for i := range names {
		n := &names[i]
		if n.kind.pseudo() {
			n.Canon = "" // is no key of a header map
		} else {
			n.Canon = canonical(n.Lower)
		}
		for j, e := range staticTable {
			if e.name == n.Lower {
				if n.first == 0 {
					n.first = uint8(j)
				}
				n.last = uint8(j)
			}
		}
	}
	return names
}

// changingNames have values that rarely come twice on a connection. In the dynamic table they would
// only push out what does.
var changingNames = []string{
	"age", "authentication-info", "cf-ray", "content-disposition", "content-location", "content-md5",
	"content-range", "etag", "expires", "grpc-message", "grpc-timeout", "if-match", "if-modified-since",
	"if-none-match", "if-range", "if-unmodified-since", "last-modified", "location", "proxy-authenticate",
	"range", "request-id", "retry-after", "server-timing", "set-cookie", "traceparent", "tracestate",
	"www-authenticate", "x-amz-cf-id", "x-amz-request-id", "x-amzn-trace-id", "x-b3-parentspanid",
	"x-b3-spanid", "x-b3-traceid", "x-correlation-id", "x-request-id", "x-response-time", "x-runtime",
	"x-timer", "x-trace-id",
}

// steadyNames have values that repeat.
var steadyNames = []string{
	"accept", "accept-ch", "accept-charset", "accept-encoding", "accept-language", "accept-patch",
	"accept-ranges", "access-control-allow-credentials", "access-control-allow-headers",
	"access-control-allow-methods", "access-control-allow-origin", "access-control-expose-headers",
	"access-control-max-age", "access-control-request-headers", "access-control-request-method", "allow",
	"alt-svc", "cache-control", "content-language", "content-security-policy",
	"cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "dnt",
	"forwarded", "from", "grpc-accept-encoding", "grpc-encoding", "grpc-status", "grpc-status-details-bin",
	"link", "max-forwards", "nel", "origin", "permissions-policy", "pragma", "referer", "referrer-policy",
	"refresh", "report-to", "reporting-endpoints", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
	"sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "sec-gpc",
	"sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol",
	"sec-websocket-version", "server", "strict-transport-security", "timing-allow-origin",
	"upgrade-insecure-requests", "vary", "via", "warning", "x-content-type-options", "x-csrf-token",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-frame-options", "x-powered-by",
	"x-real-ip", "x-requested-with", "x-xss-protection",
}
