package capture

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/frame"
)

// hide replaces what lets its reader in: the values of fields such as authorization and cookie, and
// tokens in what holds a URL. extra has the names of further fields with secrets, in lower case.
//
// What helps to debug and opens nothing is kept: the scheme of authorization, the names and the
// attributes of cookies, and how long a value was.
func hide(e Event, extra []string) {
	switch e := e.(type) {
	case *Frame:
		hideFields(e.Fields, extra)
		if f, ok := e.Parsed.(frame.GoAway); ok {
			f.DebugData = []byte(HideURL(string(f.DebugData)))
			e.Parsed = f
		}
	case *Message:
		hideFields(e.Fields, extra)
		e.Line = hideLine(e.Line)
	case *Request:
		for _, d := range [...]Dir{Client, Server} {
			hideFields(e.Fields[d], extra)
			hideFields(e.Trailers[d], extra)
		}
		for _, i := range e.Interim {
			hideFields(i.Fields, extra)
		}
		e.Path, e.Authority, e.Reason = HideURL(e.Path), hideAuthority(e.Authority), HideURL(e.Reason)
		if e.GRPC != nil {
			e.GRPC.Method, e.GRPC.Message = HideURL(e.GRPC.Method), HideURL(e.GRPC.Message)
		}
	case *Finding:
		e.Text = HideURL(e.Text)
	}
}

// HideField returns the value of a field without what lets its reader in, as events have it where
// Options.ShowSecrets is not set. It is value where there is nothing to hide.
func HideField(name, value string) string {
	if value == "" {
		return ""
	}
	return hideValue(&Field{Name: name, Value: value}, nil)
}

// hideFields hides the values of fields.
func hideFields(fields []Field, extra []string) {
	for i := range fields {
		f := &fields[i]
		if f.Hidden || f.Value == "" {
			continue
		}
		if v := hideValue(f, extra); v != f.Value {
			f.Value, f.Hidden = v, true
		}
	}
}

// plainNames are names of fields that are in most messages and have no secrets; no value of theirs
// is looked at, which saves a tenth of the time that a capture takes.
var plainNames = map[string]bool{
	":method": true, ":scheme": true, ":status": true, "accept": true, "accept-encoding": true,
	"accept-language": true, "cache-control": true, "content-encoding": true, "content-length": true,
	"content-type": true, "date": true, "etag": true, "last-modified": true, "priority": true, "server": true,
	"user-agent": true, "vary": true,
}

// hideValue returns the value of a field without its secrets.
func hideValue(f *Field, extra []string) string {
	if f.State != Known { // the name may be another one
		return hidden(f.Value)
	}
	if plainNames[f.Name] && len(extra) == 0 {
		return f.Value
	}
	name := strings.ToLower(f.Name)
	if slices.Contains(extra, name) {
		return hidden(f.Value)
	}
	if strings.HasSuffix(name, "authorization") { // proxy-authorization, x-serverless-authorization and such
		name = "authorization"
	}
	switch name {
	case "authorization", "authentication-info", "proxy-authentication-info":
		scheme, rest, ok := strings.Cut(f.Value, " ")
		if !ok {
			return hidden(f.Value)
		}
		return scheme + " " + hidden(rest)
	case "cookie":
		return hideCookies(f.Value)
	case "sec-websocket-protocol":
		return hideProtocols(f.Value)
	case "set-cookie":
		pair, attributes, ok := strings.Cut(f.Value, ";")
		if ok {
			attributes = ";" + attributes
		}
		return hideCookies(pair) + attributes
	case ":authority", "host":
		return hideAuthority(f.Value)
	case ":path", "referer", "location", "content-location", "link", "refresh":
		return HideURL(f.Value)
	}
	if secretName(name) {
		return hidden(f.Value)
	}
	if strings.Contains(f.Value, "://") || strings.Contains(name, "ur") && strings.Contains(f.Value, "=") {
		return HideURL(f.Value) // x-original-url, x-forwarded-uri and such
	}
	return f.Value
}

// secretName reports whether fields of that name, in lower case, have secrets by custom.
func secretName(name string) bool {
	switch name {
	case "sec-websocket-key", "idempotency-key", "surrogate-key", "cache-key", "x-cache-key", "x-idempotency-key",
		"access-control-allow-credentials":
		return false
	case "dpop", "x-amz-signature", "x-auth", "x-password", "x-hub-signature", "x-hub-signature-256":
		return true
	}
	for _, part := range [...]string{
		"token", "secret", "password", "passphrase", "apikey", "credential", "session", "jwt", "authorization", "cookie",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return strings.HasSuffix(name, "-key") || strings.HasSuffix(name, "-otp")
}

// hideProtocols hides the tokens that browsers send as subprotocols of WebSocket, for want of
// authorization: behind a word such as "bearer", or with such a word in them.
func hideProtocols(v string) string {
	list, behind := strings.Split(v, ","), false
	for i, p := range list {
		word := strings.TrimSpace(p)
		switch lower := strings.ToLower(word); lower {
		case "bearer", "token", "access_token", "authorization", "auth", "jwt":
			behind = true
		default:
			if behind || strings.Contains(lower, "bearer") || strings.Contains(lower, "auth") || secretName(lower) {
				list[i] = strings.Replace(p, word, hidden(word), 1)
			}
		}
	}
	return strings.Join(list, ",")
}

// hidden stands for a value.
func hidden(v string) string { return "(hidden, " + strconv.Itoa(len(v)) + " octets)" }

// hideCookies keeps the names of cookies.
func hideCookies(v string) string {
	cookies := strings.Split(v, ";")
	for i, c := range cookies {
		name, value, ok := strings.Cut(c, "=")
		if !ok { // a cookie without a name has a value alone
			cookies[i] = hidden(c)
			continue
		}
		cookies[i] = name + "=" + hidden(value)
	}
	return strings.Join(cookies, ";")
}

// HideURL hides the secrets of the URLs in a text: userinfo, and the values of parameters that have
// tokens by custom, such as access_token, key and sig, in queries and fragments.
func HideURL(s string) string {
	return hideParameters(hideUserinfo(s))
}

// hideAuthority hides the userinfo of an authority, which HTTP does not permit (RFC 9110 §4.2.4).
func hideAuthority(s string) string {
	if at := strings.LastIndexByte(s, '@'); at > 0 && !strings.Contains(s, "://") {
		return hidden(s[:at]) + s[at:]
	}
	return HideURL(s)
}

// hideLine hides the secrets of a request line, or a status line. The target of CONNECT is an
// authority.
func hideLine(s string) string {
	const connect = "CONNECT "
	if target, ok := strings.CutPrefix(s, connect); ok {
		return connect + hideAuthority(target)
	}
	return HideURL(s)
}

// hideUserinfo hides what stands before the "@" of an authority.
func hideUserinfo(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "://")
		if i < 0 {
			break
		}
		i += len("://")
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexAny(s, "/?# \t\"<>")
		if end < 0 {
			end = len(s)
		}
		if at := strings.LastIndexByte(s[:end], '@'); at >= 0 {
			b.WriteString(hidden(s[:at]))
			s = s[at:]
		}
	}
	b.WriteString(s)
	return b.String()
}

// hideParameters hides the values of parameters.
func hideParameters(s string) string {
	if !strings.Contains(s, "=") {
		return s
	}
	var b strings.Builder
	for s != "" {
		n := strings.IndexAny(s, "?&;# \t,<>\"'")
		piece, separator := s, ""
		if n >= 0 {
			piece, separator = s[:n], s[n:n+1]
		}
		s = s[len(piece)+len(separator):]
		if name, value, ok := strings.Cut(piece, "="); ok && value != "" && secretParameter(name) {
			piece = name + "=" + hidden(value)
		}
		b.WriteString(piece)
		b.WriteString(separator)
	}
	return b.String()
}

// secretParameter reports whether parameters of that name have secrets by custom.
func secretParameter(name string) bool {
	if decoded, err := url.QueryUnescape(name); err == nil {
		name = decoded
	}
	name = strings.ToLower(name)
	switch name {
	case "key", "sig", "sign", "signature", "auth", "authorization", "code", "jwt", "sid", "pass", "passwd", "pwd",
		"assertion", "ticket", "samlresponse", "samlrequest", "x-amz-signature", "x-goog-signature", "hmac", "otp":
		return true
	}
	for _, part := range [...]string{
		"token", "secret", "password", "apikey", "api_key", "api-key", "credential", "session", "access_key",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
