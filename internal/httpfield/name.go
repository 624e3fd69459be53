package httpfield

import (
	"hash/maphash"
	"net/http"
	"strings"
	"sync/atomic"
)

// Meaning says what a field name means to server or client, beyond being a key of an http.Header.
type Meaning uint8

// The meanings. Each package looks at those that concern it.
const (
	Plain              Meaning = iota
	Host                       // request: is Request.Host
	Expect                     // request: 100-continue
	Trailer                    // announces keys of the trailer section
	Connection                 // not sent (RFC 9113 §8.2.2), "close" ends the connection
	ConnectionSpecific         // not sent
	ContentLength              // sent by us, in one form
	ContentType                // response: no sniffing
	ContentEncoding            // response: no sniffing unless empty
	Date                       // response: no date of ours
	Cookie                     // request: sent in crumbs (RFC 9113 §8.2.3)
	UserAgent                  // request: a default exists
	Credentials                // request: never indexed (RFC 7541 §7.1.3)
	TE                         // request: "trailers" only (RFC 9113 §8.2.2)
	Priority                   // response: overrides the client's wish (RFC 9218 §8)
	EarlyData                  // request: was sent in early data before us (RFC 8470 §5.1)
)

// Name is a field name in its two spellings: as RFC 9113 §8.2 has it on the wire and as net/http's
// keys.
type Name struct {
	Lower, Canon string
	Meaning      Meaning
}

// commonNames are found in the table without allocation.
var commonNames = []string{
	"accept", "accept-ch", "accept-charset", "accept-encoding", "accept-language", "accept-patch", "accept-ranges",
	"access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods",
	"access-control-allow-origin", "access-control-expose-headers", "access-control-max-age",
	"access-control-request-headers", "access-control-request-method", "age", "allow", "alt-svc",
	"cache-control", "content-disposition", "content-language",
	"content-location", "content-range", "content-security-policy", "cross-origin-embedder-policy",
	"cross-origin-opener-policy", "cross-origin-resource-policy", "dnt", "etag", "expires", "forwarded",
	"from", "grpc-accept-encoding", "grpc-encoding", "grpc-message", "grpc-status", "grpc-status-details-bin",
	"grpc-timeout", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
	"last-modified", "link", "location", "max-forwards", "nel", "origin", "permissions-policy", "pragma",
	"proxy-authenticate", "range", "referer", "referrer-policy", "refresh",
	"report-to", "reporting-endpoints", "retry-after", "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform",
	"sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-fetch-user", "sec-gpc", "sec-websocket-accept",
	"sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version", "server",
	"server-timing", "set-cookie", "strict-transport-security", "timing-allow-origin", "traceparent",
	"tracestate", "upgrade-insecure-requests", "vary", "via", "warning", "www-authenticate",
	"x-content-type-options", "x-csrf-token", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
	"x-frame-options", "x-powered-by", "x-real-ip", "x-request-id", "x-requested-with", "x-xss-protection",
}

var namesWithMeaning = map[string]Meaning{
	"host":              Host,
	"expect":            Expect,
	"trailer":           Trailer,
	"connection":        Connection,
	"keep-alive":        ConnectionSpecific,
	"proxy-connection":  ConnectionSpecific,
	"transfer-encoding": ConnectionSpecific,
	"upgrade":           ConnectionSpecific,
	"content-length":    ContentLength,
	"content-type":      ContentType,
	"content-encoding":  ContentEncoding,
	"date":              Date,
	"cookie":            Cookie,
	"user-agent":        UserAgent,
	"te":                TE,
	"priority":          Priority,
	"early-data":        EarlyData,

	"authorization":       Credentials,
	"proxy-authorization": Credentials,
}

// nameSlots is a power of two, about four times the number of names.
const nameSlots = 512

var nameTable = makeNameTable()

func makeNameTable() (t [nameSlots]*Name) {
	names := make([]Name, 0, len(commonNames)+len(namesWithMeaning))
	for _, s := range commonNames {
		names = append(names, Name{s, http.CanonicalHeaderKey(s), Plain})
	}
	for s, m := range namesWithMeaning {
		names = append(names, Name{s, http.CanonicalHeaderKey(s), m})
	}
	for i := range names {
		slot := hashName(names[i].Lower) % nameSlots
		for t[slot] != nil {
			slot = (slot + 1) % nameSlots
		}
		t[slot] = &names[i]
	}
	return t
}

// hashName is the same for both spellings of a name, and looks at few octets of it.
func hashName(s string) uint32 {
	n := len(s)
	if n == 0 {
		return 0
	}
	const fold = 0x20 // upper case to lower, and of '-' and digits a mere renaming
	h := uint32(
		n,
	)*0x9e3779b1 + uint32(
		s[0]|fold,
	)*0x85ebca77 + uint32(
		s[n/2]|fold,
	)*0xc2b2ae3d + uint32(
		s[n-1]|fold,
	)*0x27d4eb2f
	return h ^ h>>15
}

// ByLower finds a field name by its spelling on the wire, which must be a token in lower case.
func ByLower(s string) *Name {
	h := hashName(s)
	for i := h; ; i++ {
		n := nameTable[i%nameSlots]
		if n == nil {
			break
		}
		if n.Lower == s {
			return n
		}
	}
	set := learnedByLower.set(s)
	for i := range set {
		if n := set[i].Load(); n != nil && n.Lower == s {
			return n
		}
	}
	s = strings.Clone(s) // s may be a piece of something large
	n := &Name{Lower: s, Canon: http.CanonicalHeaderKey(s)}
	learnedByLower.put(s, n)
	return n
}

// Names are those of a header section in their order, for the next one: the requests of a client
// mostly have the same fields.
type Names [32]*Name

// ByLower is ByLower for the ith field of a header section.
func (l *Names) ByLower(i int, s string) *Name {
	if i >= len(l) {
		return ByLower(s)
	}
	if n := l[i]; n != nil && n.Lower == s {
		return n
	}
	n := ByLower(s)
	if len(s) <= maxLearnedName {
		l[i] = n
	}
	return n
}

// ByKey finds a field name by a key of an http.Header, which whoever made it may have spelled in
// any way. It is nil for a key that is no field name.
func ByKey(key string) *Name {
	h := hashName(key)
	for i := h; ; i++ {
		n := nameTable[i%nameSlots]
		if n == nil {
			break
		}
		if n.Canon == key {
			return n
		}
	}
	set := learnedByKey.set(key)
	for i := range set {
		if n := set[i].Load(); n != nil && n.Canon == key {
			return n
		}
	}
	if !ValidToken(key) {
		return nil
	}
	lower := strings.ToLower(key)
	if canon := http.CanonicalHeaderKey(key); canon != key {
		return ByLower(lower)
	}
	n := &Name{Lower: lower, Canon: strings.Clone(key)}
	learnedByKey.put(key, n)
	return n
}

// learnedNames remembers names that are not in the table, under one of their spellings. It does not
// grow: a name goes into the set that its hash says, in the place of what was there (CVE-2022-41717
// is what an unbounded cache leads to). With one place for a hash, or a hash that looks at a part
// of the name, two names of a program would push each other out all the time, which costs more than
// to have no memory.
type learnedNames struct {
	sets [64]learnedSet
	turn atomic.Uint32
}

type learnedSet [4]atomic.Pointer[Name]

// maxLearnedName bounds what one entry can hold on to.
const maxLearnedName = 64

var (
	learnedByLower, learnedByKey learnedNames

	learnedSeed = maphash.MakeSeed()
)

func (l *learnedNames) set(s string) *learnedSet {
	return &l.sets[maphash.String(learnedSeed, s)%uint64(len(l.sets))]
}

func (l *learnedNames) put(s string, n *Name) {
	if len(s) > maxLearnedName {
		return
	}
	set := l.set(s)
	for i := range set {
		if set[i].CompareAndSwap(nil, n) {
			return
		}
	}
	set[l.turn.Add(1)%uint32(len(set))].Store(n)
}

// tokenOctets are the characters of a field name (RFC 9110 §5.6.2).
var tokenOctets = func() (t [256]bool) {
	for c := range t {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		t[c] = letter || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", byte(c)) >= 0
	}
	return t
}()

// ValidToken tells whether s is a token (RFC 9110 §5.6.2), which names and methods are.
func ValidToken(s string) bool {
	for i := range len(s) {
		if !tokenOctets[s[i]] {
			return false
		}
	}
	return s != ""
}
