package server

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/conn/header"
)

// declareTrailersLocked adds the keys that a Trailer field of the response announces.
func (w *response) declareTrailersLocked(v string) {
	for key := range strings.SplitSeq(v, ",") {
		if key = textproto.TrimString(key); key != "" {
			w.declareTrailerLocked(http.CanonicalHeaderKey(key))
		}
	}
}

func (w *response) declareTrailerLocked(key string) {
	if !validTrailer(key) {
		w.x.sc.logf("http: ignoring invalid trailer %q", key)
		return
	}
	if !slices.Contains(w.trailers, key) {
		w.trailers = append(w.trailers, key)
	}
}

// trailerFieldsLocked returns the trailer section: the announced keys of the header map, and those
// with the prefix http.TrailerPrefix, in the order of their names. A response that can have no
// content has none: to HEAD, or with status 204 or 304, it ends with its header (RFC 9110 §9.3.2,
// §15.3.5, §15.4.5).
func (w *response) trailerFieldsLocked() []header.Field {
	if len(w.header) == 0 || w.makesTunnel || w.isHead || w.noContent {
		return nil
	}
	var fields []header.Field
	for _, key := range w.trailers {
		fields = appendTrailer(fields, key, w.header[key])
	}
	for key, values := range w.header {
		name, ok := strings.CutPrefix(key, http.TrailerPrefix)
		if !ok {
			continue
		}
		name = http.CanonicalHeaderKey(name)
		switch {
		case !validTrailer(name):
			w.x.sc.logf("http: ignoring invalid trailer %q", name)
		case !slices.Contains(w.trailers, name) || w.header[name] == nil:
			fields = appendTrailer(fields, name, values)
		}
	}
	slices.SortStableFunc(fields, func(a, b header.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

func appendTrailer(fields []header.Field, key string, values []string) []header.Field {
	name := header.ByKey(key)
	if name == nil {
		return fields
	}
	for _, v := range values {
		fields = appendField(fields, name.Lower, v)
	}
	return fields
}

// notTrailers are the fields that must come before the content, or describe the connection (RFC
// 9110 §6.5.1).
var notTrailers = map[string]bool{
	"Authorization": true, "Cache-Control": true, "Connection": true, "Content-Encoding": true,
	"Content-Length": true, "Content-Range": true, "Content-Type": true, "Expect": true, "Host": true,
	"Keep-Alive": true, "Max-Forwards": true, "Pragma": true, "Proxy-Authenticate": true,
	"Proxy-Authorization": true, "Proxy-Connection": true, "Range": true, "Realm": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Www-Authenticate": true,
}

// validTrailer reports whether a field may be in a trailer section.
func validTrailer(key string) bool {
	return !strings.HasPrefix(key, "If-") && !notTrailers[key]
}
