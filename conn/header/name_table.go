package header

// knownNames lists the names of the static table, those with a rule of their own, and those that
// are common enough not to be judged octet by octet.
func knownNames() []knownName {
	names := []knownName{
		{name: ":authority", kind: kindAuthority},
		{name: ":method", kind: kindMethod},
		{name: ":path", kind: kindPath, policy: policyPlain},
		{name: ":protocol", kind: kindProtocol},
		{name: ":scheme", kind: kindScheme},
		{name: ":status", kind: kindStatus},
		{name: "connection", kind: kindConnectionSpecific},
		{name: "content-length", kind: kindContentLength, policy: policyPlain},
		{name: "cookie", kind: kindCookie, policy: policyCookie},
		{name: "host", kind: kindHost},
		{name: "keep-alive", kind: kindConnectionSpecific},
		{name: "priority", kind: kindPriority},
		{name: "proxy-connection", kind: kindConnectionSpecific},
		{name: "te", kind: kindTE},
		{name: "transfer-encoding", kind: kindConnectionSpecific},
		{name: "upgrade", kind: kindConnectionSpecific},

		{name: "date", policy: policyRepeat}, // one value for a second
		{name: "authorization", policy: policyNever},
		{name: "proxy-authorization", policy: policyNever},
	}
	for _, name := range changingNames {
		names = append(names, knownName{name: name, policy: policyPlain})
	}
	for _, name := range steadyNames {
		names = append(names, knownName{name: name})
	}
	for i := range names {
		for j, e := range staticTable {
			if e.name == names[i].name {
				if names[i].first == 0 {
					names[i].first = uint8(j)
				}
				names[i].last = uint8(j)
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
	"accept", "accept-charset", "accept-encoding", "accept-language", "accept-ranges",
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-allow-origin", "access-control-expose-headers", "access-control-max-age",
	"access-control-request-headers", "access-control-request-method", "allow", "alt-svc", "cache-control",
	"content-encoding", "content-language", "content-security-policy", "content-type",
	"cross-origin-embedder-policy", "cross-origin-opener-policy", "cross-origin-resource-policy", "dnt",
	"expect", "forwarded", "from", "grpc-accept-encoding", "grpc-encoding", "grpc-status", "link",
	"max-forwards", "nel", "origin", "permissions-policy", "pragma", "referer",
	"referrer-policy", "refresh", "report-to", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
	"sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "sec-gpc",
	"sec-websocket-extensions", "sec-websocket-protocol", "sec-websocket-version", "server",
	"strict-transport-security", "timing-allow-origin", "trailer", "upgrade-insecure-requests",
	"user-agent", "vary", "via", "x-content-type-options", "x-forwarded-for", "x-forwarded-host",
	"x-forwarded-proto", "x-frame-options", "x-powered-by", "x-requested-with", "x-xss-protection",
}
