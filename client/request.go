package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/syntax"
)

// checkRequest says what makes a request impossible to send, in net/http's words. All that the
// caller may have taken from elsewhere is checked here, before anything is dialled or sent.
func checkRequest(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("http: nil Request.URL")
	case req.Header == nil:
		return errors.New("http: nil Request.Header")
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return fmt.Errorf("unsupported protocol scheme %q", req.URL.Scheme)
	}
	if fault := checkFields(req.Header, true); fault != "" {
		return errors.New("net/http: invalid header " + fault)
	}
	if fault := checkFields(req.Trailer, false); fault != "" {
		return errors.New("net/http: invalid trailer " + fault)
	}
	switch {
	case req.Method != "" && !syntax.ValidToken(req.Method):
		return fmt.Errorf("net/http: invalid method %q", req.Method)
	case req.URL.Host == "":
		return errors.New("http: no Host in request URL")
	}
	return nil
}

// checkFields says which field of a header map cannot be sent. The text has no values, since they
// may be secret. protocol allows the key ":protocol", which is no field's name (RFC 8441 §4).
func checkFields(h http.Header, protocol bool) string {
	for key, values := range h {
		if !syntax.ValidToken(key) && !(protocol && key == ":protocol") {
			return fmt.Sprintf("field name %q", key)
		}
		for _, v := range values {
			if !syntax.ValidValue(v) {
				return fmt.Sprintf("field value for %q", key)
			}
		}
	}
	return ""
}

// fieldBuffer holds the fields of one request until they are encoded.
type fieldBuffer struct {
	fields []header.Field
	body   []byte // memory for a small body
}

var fieldBuffers = sync.Pool{New: func() any { return &fieldBuffer{fields: make([]header.Field, 0, 24)} }}

// memory returns n octets of memory, which belong to b.
func (b *fieldBuffer) memory(n int) []byte {
	if cap(b.body) < n {
		b.body = make([]byte, n)
	}
	return b.body[:n]
}

func (b *fieldBuffer) free() {
	clear(b.fields)
	b.fields = b.fields[:0]
	fieldBuffers.Put(b)
}

const defaultUserAgent = "Go-http-client/2.0" // as net/http: servers know it

// requestFields makes the header section of a request. Fields that are always there come first,
// always in the same places, which makes them cheaper to encode.
func (b *fieldBuffer) requestFields(req *http.Request, length int64, gzip bool) error {
	f := b.fields[:0]
	host, err := requestHost(req)
	if err != nil {
		return err
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	protocol := ""
	if vv := req.Header[":protocol"]; len(vv) > 0 { // RFC 8441 §4, as net/http has it
		protocol = syntax.TrimValue(vv[0])
	}
	f = append(f, header.Field{Name: ":method", Value: method})
	if method == http.MethodConnect && protocol == "" {
		f = append(f, header.Field{Name: ":authority", Value: host})
	} else {
		path, err := requestPath(req, host)
		if err != nil {
			return err
		}
		f = append(f,
			header.Field{Name: ":scheme", Value: req.URL.Scheme},
			header.Field{Name: ":authority", Value: host},
			header.Field{Name: ":path", Value: path})
	}
	if protocol != "" {
		if method != http.MethodConnect {
			return errors.New("http2: invalid :protocol header in non-CONNECT request")
		}
		f = append(f, header.Field{Name: ":protocol", Value: protocol})
	}
	if gzip {
		f = append(f, header.Field{Name: "accept-encoding", Value: "gzip"})
	}
	if vv, ok := req.Header["User-Agent"]; !ok {
		f = append(f, header.Field{Name: "user-agent", Value: defaultUserAgent})
	} else if len(vv) > 0 {
		if v := syntax.TrimValue(vv[0]); v != "" {
			f = append(f, header.Field{Name: "user-agent", Value: v})
		}
	}
	if length > 0 || length == 0 && (method == "POST" || method == "PUT" || method == "PATCH") {
		f = append(f, header.Field{Name: "content-length", Value: strconv.FormatInt(length, 10)})
	}
	if b.fields, err = appendHeader(f, req.Header); err != nil {
		return err
	}
	return b.declareTrailers(req.Trailer)
}

// orderPseudo puts the pseudo-header fields, which come first, into another order.
func orderPseudo(f []header.Field, order []string) {
	n := 0
	for n < len(f) && strings.HasPrefix(f[n].Name, ":") {
		n++
	}
	slices.SortStableFunc(f[:n], func(a, b header.Field) int { return place(order, a.Name) - place(order, b.Name) })
}

// place returns where a name comes in an order; names that are not in it come last.
func place(order []string, name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// appendHeader appends the fields of a header map, but for those that requestFields makes.
func appendHeader(f []header.Field, h http.Header) ([]header.Field, error) {
	for key, values := range h {
		name := header.ByKey(key)
		if name == nil {
			if key == ":protocol" {
				continue
			}
			return f, fmt.Errorf("net/http: invalid header field name %q", key)
		}
		switch name.Meaning {
		case header.Host, header.ContentLength, header.UserAgent:
			continue
		case header.Connection, header.ConnectionSpecific:
			if key == name.Canon { // as net/http, which drops other spellings unchecked
				if err := checkConnectionField(name.Lower, values); err != nil {
					return f, err
				}
			}
			continue
		case header.TE:
			if syntax.HasToken(values, "trailers") { // RFC 9113 §8.2.2: nothing else
				f = append(f, header.Field{Name: "te", Value: "trailers"})
			}
			continue
		}
		for _, v := range values {
			v = syntax.TrimValue(v)
			if name.Meaning == header.Cookie {
				f = appendCrumbs(f, v)
				continue
			}
			f = append(f, header.Field{Name: name.Lower, Value: v, Sensitive: name.Meaning == header.Credentials})
		}
	}
	return f, nil
}

// appendCrumbs splits a cookie into crumbs, which the HPACK table can hold (RFC 9113 §8.2.3).
func appendCrumbs(f []header.Field, v string) []header.Field {
	for v != "" {
		crumb, rest, _ := strings.Cut(v, ";")
		if crumb = strings.TrimRight(crumb, " \t"); crumb != "" {
			f = append(f, header.Field{Name: "cookie", Value: crumb})
		}
		v = strings.TrimLeft(rest, " \t")
	}
	return f
}

// checkConnectionField checks connection-specific fields (RFC 9113 §8.2.2), which are not sent:
// some ask for what HTTP/2 cannot do.
func checkConnectionField(name string, values []string) error {
	for i, v := range values {
		bad := false
		switch name {
		case "upgrade":
			bad = v != "" && v != "chunked"
		case "transfer-encoding":
			bad = i > 0 || v != "" && v != "chunked"
		case "connection":
			bad = i > 0 || v != "" && !strings.EqualFold(v, "close") && !strings.EqualFold(v, "keep-alive")
		}
		if bad {
			return fmt.Errorf("http2: invalid %s request header: %q", http.CanonicalHeaderKey(name), values)
		}
	}
	return nil
}

// declareTrailers announces the keys of a request's trailer section (RFC 9110 §6.6.2).
func (b *fieldBuffer) declareTrailers(trailer http.Header) error {
	if len(trailer) == 0 {
		return nil
	}
	keys := make([]string, 0, len(trailer))
	for key := range trailer {
		key = http.CanonicalHeaderKey(key)
		switch key {
		case "Transfer-Encoding", "Trailer", "Content-Length":
			return fmt.Errorf("http2: invalid Trailer key %q", key)
		}
		if !syntax.ValidToken(key) {
			return fmt.Errorf("http2: invalid Trailer key %q", key)
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	b.fields = append(b.fields, header.Field{Name: "trailer", Value: strings.Join(keys, ",")})
	return nil
}

// trailerFields makes the trailer section of a request.
func trailerFields(trailer http.Header) ([]header.Field, error) {
	if len(trailer) == 0 {
		return nil, nil
	}
	var fields []header.Field
	for key, values := range trailer {
		name := header.ByKey(key)
		for _, v := range values {
			if name == nil || !syntax.ValidValue(v) {
				return nil, fmt.Errorf("net/http: invalid trailer field %q", key)
			}
			fields = append(fields, header.Field{
				Name: name.Lower, Value: syntax.TrimValue(v), Sensitive: name.Meaning == header.Credentials,
			})
		}
	}
	slices.SortStableFunc(fields, func(a, b header.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields, nil
}

// requestPath returns the :path of a request (RFC 9113 §8.3.1).
//
// A space or a "#" that the caller has left in URL.RawQuery, as url.Parse does with a space, is
// sent percent-encoded. net/http sends it as it is, and servers disagree about what that means.
func requestPath(req *http.Request, host string) (string, error) {
	path := req.URL.RequestURI()
	if req.URL.Opaque == "" && strings.ContainsAny(req.URL.RawQuery, " #") {
		path = strings.NewReplacer(" ", "%20", "#", "%23").Replace(path)
	}
	if !syntax.ValidPath(path) {
		path = strings.TrimPrefix(path, req.URL.Scheme+"://"+host)
	}
	if syntax.ValidPath(path) {
		return path, nil
	}
	err := fmt.Errorf("http2: invalid request :path %q", req.URL.RequestURI())
	if req.URL.Opaque != "" {
		err = fmt.Errorf("%w from URL.Opaque = %q", err, req.URL.Opaque)
	}
	return "", err
}

// requestHost returns the :authority of a request.
func requestHost(req *http.Request) (string, error) {
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	host = withoutZone(host)
	for i := range len(host) {
		if host[i] >= 0x80 {
			return asciiHost(host)
		}
		if !syntax.AuthorityChar(host[i]) {
			return "", errors.New("http2: invalid Host header")
		}
	}
	return host, nil
}

// withoutZone cuts the zone off an IPv6 address in brackets. It has a meaning on this host only,
// and is not sent (RFC 6874 §4).
func withoutZone(host string) string {
	if host == "" || host[0] != '[' {
		return host
	}
	end := strings.LastIndexByte(host, ']')
	zone := strings.IndexByte(host, '%')
	if end < 0 || zone < 0 || zone > end {
		return host
	}
	return host[:zone] + host[end:]
}

// traceFields calls the hook for every field that is sent.
func traceFields(trace *httptrace.ClientTrace, fields []header.Field) {
	if trace == nil || trace.WroteHeaderField == nil {
		return
	}
	for _, f := range fields {
		trace.WroteHeaderField(f.Name, []string{f.Value})
	}
}
