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
//
// Both spellings are literals: so they are mostly the very strings that hpack.Decoder and handlers
// have, which compare at once. A pseudo-header field has no key.
func knownNames() []Name {
	names := []Name{
		{Lower: ":authority", kind: kindAuthority},
		{Lower: ":method", kind: kindMethod},
		{Lower: ":path", kind: kindPath, indexing: indexNot},
		{Lower: ":protocol", kind: kindProtocol},
		{Lower: ":scheme", kind: kindScheme},
		{Lower: ":status", kind: kindStatus},

		{Lower: "authorization", Canon: "Authorization", Meaning: Credentials, indexing: indexNever},
		{Lower: "connection", Canon: "Connection", Meaning: Connection, kind: kindConnectionSpecific},
		{Lower: "content-encoding", Canon: "Content-Encoding", Meaning: ContentEncoding},
		{
			Lower: "content-length", Canon: "Content-Length", Meaning: ContentLength,
			kind: kindContentLength, indexing: indexNot,
		},
		{Lower: "content-type", Canon: "Content-Type", Meaning: ContentType},
		{Lower: "cookie", Canon: "Cookie", Meaning: Cookie, kind: kindCookie, indexing: indexLong},
		{Lower: "date", Canon: "Date", Meaning: Date, indexing: indexRepeated}, // one value for a second
		{Lower: "early-data", Canon: "Early-Data", Meaning: EarlyData},
		{Lower: "expect", Canon: "Expect", Meaning: Expect},
		{Lower: "host", Canon: "Host", Meaning: Host, kind: kindHost},
		{Lower: "keep-alive", Canon: "Keep-Alive", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "priority", Canon: "Priority", Meaning: Priority, kind: kindPriority},
		{Lower: "proxy-authorization", Canon: "Proxy-Authorization", Meaning: Credentials, indexing: indexNever},
		{Lower: "proxy-connection", Canon: "Proxy-Connection", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "te", Canon: "Te", Meaning: TE, kind: kindTE},
		{Lower: "trailer", Canon: "Trailer", Meaning: Trailer},
		{Lower: "transfer-encoding", Canon: "Transfer-Encoding", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "upgrade", Canon: "Upgrade", Meaning: ConnectionSpecific, kind: kindConnectionSpecific},
		{Lower: "user-agent", Canon: "User-Agent", Meaning: UserAgent},
	}
	for _, name := range changingNames {
		names = append(names, Name{Lower: name[0], Canon: name[1], indexing: indexNot})
	}
	for _, name := range steadyNames {
		names = append(names, Name{Lower: name[0], Canon: name[1]})
	}
	for i := range names {
		n := &names[i]
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
var changingNames = [][2]string{
	{"age", "Age"},
	{"authentication-info", "Authentication-Info"},
	{"cf-ray", "Cf-Ray"},
	{"content-disposition", "Content-Disposition"},
	{"content-location", "Content-Location"},
	{"content-md5", "Content-Md5"},
	{"content-range", "Content-Range"},
	{"etag", "Etag"},
	{"expires", "Expires"},
	{"grpc-message", "Grpc-Message"},
	{"grpc-timeout", "Grpc-Timeout"},
	{"if-match", "If-Match"},
	{"if-modified-since", "If-Modified-Since"},
	{"if-none-match", "If-None-Match"},
	{"if-range", "If-Range"},
	{"if-unmodified-since", "If-Unmodified-Since"},
	{"last-modified", "Last-Modified"},
	{"location", "Location"},
	{"proxy-authenticate", "Proxy-Authenticate"},
	{"range", "Range"},
	{"request-id", "Request-Id"},
	{"retry-after", "Retry-After"},
	{"server-timing", "Server-Timing"},
	{"set-cookie", "Set-Cookie"},
	{"traceparent", "Traceparent"},
	{"tracestate", "Tracestate"},
	{"www-authenticate", "Www-Authenticate"},
	{"x-amz-cf-id", "X-Amz-Cf-Id"},
	{"x-amz-request-id", "X-Amz-Request-Id"},
	{"x-amzn-trace-id", "X-Amzn-Trace-Id"},
	{"x-b3-parentspanid", "X-B3-Parentspanid"},
	{"x-b3-spanid", "X-B3-Spanid"},
	{"x-b3-traceid", "X-B3-Traceid"},
	{"x-correlation-id", "X-Correlation-Id"},
	{"x-request-id", "X-Request-Id"},
	{"x-response-time", "X-Response-Time"},
	{"x-runtime", "X-Runtime"},
	{"x-timer", "X-Timer"},
	{"x-trace-id", "X-Trace-Id"},
}

// steadyNames have values that repeat.
var steadyNames = [][2]string{
	{"accept", "Accept"},
	{"accept-ch", "Accept-Ch"},
	{"accept-charset", "Accept-Charset"},
	{"accept-encoding", "Accept-Encoding"},
	{"accept-language", "Accept-Language"},
	{"accept-patch", "Accept-Patch"},
	{"accept-ranges", "Accept-Ranges"},
	{"access-control-allow-credentials", "Access-Control-Allow-Credentials"},
	{"access-control-allow-headers", "Access-Control-Allow-Headers"},
	{"access-control-allow-methods", "Access-Control-Allow-Methods"},
	{"access-control-allow-origin", "Access-Control-Allow-Origin"},
	{"access-control-expose-headers", "Access-Control-Expose-Headers"},
	{"access-control-max-age", "Access-Control-Max-Age"},
	{"access-control-request-headers", "Access-Control-Request-Headers"},
	{"access-control-request-method", "Access-Control-Request-Method"},
	{"allow", "Allow"},
	{"alt-svc", "Alt-Svc"},
	{"cache-control", "Cache-Control"},
	{"content-language", "Content-Language"},
	{"content-security-policy", "Content-Security-Policy"},
	{"cross-origin-embedder-policy", "Cross-Origin-Embedder-Policy"},
	{"cross-origin-opener-policy", "Cross-Origin-Opener-Policy"},
	{"cross-origin-resource-policy", "Cross-Origin-Resource-Policy"},
	{"dnt", "Dnt"},
	{"forwarded", "Forwarded"},
	{"from", "From"},
	{"grpc-accept-encoding", "Grpc-Accept-Encoding"},
	{"grpc-encoding", "Grpc-Encoding"},
	{"grpc-status", "Grpc-Status"},
	{"grpc-status-details-bin", "Grpc-Status-Details-Bin"},
	{"link", "Link"},
	{"max-forwards", "Max-Forwards"},
	{"nel", "Nel"},
	{"origin", "Origin"},
	{"permissions-policy", "Permissions-Policy"},
	{"pragma", "Pragma"},
	{"referer", "Referer"},
	{"referrer-policy", "Referrer-Policy"},
	{"refresh", "Refresh"},
	{"report-to", "Report-To"},
	{"reporting-endpoints", "Reporting-Endpoints"},
	{"sec-ch-ua", "Sec-Ch-Ua"},
	{"sec-ch-ua-mobile", "Sec-Ch-Ua-Mobile"},
	{"sec-ch-ua-platform", "Sec-Ch-Ua-Platform"},
	{"sec-fetch-dest", "Sec-Fetch-Dest"},
	{"sec-fetch-mode", "Sec-Fetch-Mode"},
	{"sec-fetch-site", "Sec-Fetch-Site"},
	{"sec-fetch-user", "Sec-Fetch-User"},
	{"sec-gpc", "Sec-Gpc"},
	{"sec-websocket-accept", "Sec-Websocket-Accept"},
	{"sec-websocket-extensions", "Sec-Websocket-Extensions"},
	{"sec-websocket-key", "Sec-Websocket-Key"},
	{"sec-websocket-protocol", "Sec-Websocket-Protocol"},
	{"sec-websocket-version", "Sec-Websocket-Version"},
	{"server", "Server"},
	{"strict-transport-security", "Strict-Transport-Security"},
	{"timing-allow-origin", "Timing-Allow-Origin"},
	{"upgrade-insecure-requests", "Upgrade-Insecure-Requests"},
	{"vary", "Vary"},
	{"via", "Via"},
	{"warning", "Warning"},
	{"x-content-type-options", "X-Content-Type-Options"},
	{"x-csrf-token", "X-Csrf-Token"},
	{"x-forwarded-for", "X-Forwarded-For"},
	{"x-forwarded-host", "X-Forwarded-Host"},
	{"x-forwarded-proto", "X-Forwarded-Proto"},
	{"x-frame-options", "X-Frame-Options"},
	{"x-powered-by", "X-Powered-By"},
	{"x-real-ip", "X-Real-Ip"},
	{"x-requested-with", "X-Requested-With"},
	{"x-xss-protection", "X-Xss-Protection"},
}
