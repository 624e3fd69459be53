package capture

import (
	"strconv"
	"strings"
	"time"
)

// startLine takes the line that a message begins with.
func (o *http1Dir) startLine(line string, bare bool, raw int64) {
	if line == "" && o.state == http1Start {
		return // RFC 9112 §2.2
	}
	parse := parseRequestLine
	if o.d == Server {
		parse = parseStatusLine
	}
	at := 0
	parts, ok := parse(line)
	if !ok {
		parts, at, ok = findStartLine(o.d, line)
	}
	if !ok {
		o.skipped += raw
		o.lossy, o.state = true, http1Seek
		return
	}
	o.head = &http1Head{first: o.first, line: line[at:], parts: parts, bareLF: bare, size: raw - int64(at)}
	if parts.problem != "" {
		o.head.problem(parts.problem)
	}
	if o.skipped += int64(at); o.skipped > 0 {
		o.head.problem(strconv.FormatInt(o.skipped, 10) + " octets before it are no message of HTTP/1.1")
		o.skipped = 0
	}
	o.state = http1Fields
}

// headEnd takes a header section or a trailer section.
func (o *http1Dir) headEnd(t time.Time) {
	if o.head.trailer {
		o.deliver(t)
		o.messageEnd(t)
		return
	}
	o.deliver(t)
}

// deliver delivers what there is of a header section, and chooses the state behind it.
func (o *http1Dir) deliver(t time.Time) {
	m := o.head
	o.head = nil
	o.h.s.a.held.give(m.kept)
	if m.trailer {
		o.x.Wire[o.d] += m.size
		if len(m.fields) > 0 {
			o.x.trailers(o.d, m.fields)
			o.h.s.emit(m.message(o.x.Conn, o.x.Stream, o.d, t))
		}
		return
	}
	if o.d == Client {
		o.request(m, t)
	} else {
		o.response(m, t)
	}
}

// request begins an exchange.
func (o *http1Dir) request(m *http1Head, t time.Time) {
	server := o.h.dirs[Server]
	if o.lossy {
		o.lossy = false
		o.next = max(o.next, server.next)
		o.h.sweep(Client, o.next)
	} else if server.next < o.next && !server.lossy {
		o.h.pipelined = true
	}
	x := o.h.exchange(o.next, m.first)
	o.next++
	o.x = x
	x.Start = m.first
	x.Wire[Client] += m.size
	x.Lossy = x.Lossy || m.cut
	x.End = t
	o.requestParts(x, m)
	kind, length := requestFraming(m)
	o.h.s.emit(m.message(x.Conn, x.Stream, Client, t))
	o.begin(kind, length, t)
}

// requestParts fills in what the header section says.
func (o *http1Dir) requestParts(x *exchange, m *http1Head) {
	x.Version, x.Method = m.parts.version, m.parts.method
	x.Scheme = "http"
	if o.h.s.info.TLS != nil {
		x.Scheme = "https"
	}
	target := m.parts.target
	switch {
	case x.Method == "CONNECT":
		x.Authority, x.Scheme = target, ""
	case target[0] == '/' || target == "*":
		x.Path = target
	default: // absolute-form
		scheme, rest, ok := strings.Cut(target, "://")
		if !ok {
			x.Path = target
			break
		}
		n := strings.IndexAny(rest, "/?#")
		if n < 0 {
			n = len(rest)
		}
		x.Scheme, x.Authority, x.Path = scheme, rest[:n], rest[n:]
	}
	x.upgrade = fieldValue(m.fields, "upgrade") != "" && hasItem(m.fields, "connection", "upgrade")
	x.head(m.fields)
}

// response takes the header section of a response, 1xx too.
func (o *http1Dir) response(m *http1Head, t time.Time) {
	client := o.h.dirs[Client]
	if o.lossy {
		o.lossy = false
		if last := client.next - 1; !o.h.pipelined && last > o.next {
			o.h.sweep(Server, last)
			o.next = last
		}
	}
	x := o.h.exchange(o.next, m.first)
	o.x = x
	x.Wire[Server] += m.size
	x.Lossy = x.Lossy || m.cut
	x.End = t
	kind, length := responseFraming(m, x.Method)
	o.h.s.emit(m.message(x.Conn, x.Stream, Server, t))
	if !x.response(m.parts.status, m.fields, t) {
		o.state = http1Start
		return
	}
	o.next++
	x.began, x.Reason = m.first, m.parts.reason
	if x.Version == "" {
		x.Version = m.parts.version
	}
	if x.Status == 101 {
		x.Protocol = strings.ToLower(fieldValue(m.fields, "upgrade"))
	}
	if o.h.answered(x, t); o.h.over != nil {
		return
	}
	o.begin(kind, length, t)
}

// begin goes on with the content.
func (o *http1Dir) begin(kind http1State, length int64, t time.Time) {
	o.state, o.left = kind, length
	if kind == http1Length && length == 0 {
		o.messageEnd(t)
	}
}

// requestFraming returns how the content of a request ends (RFC 9112 §6.3).
func requestFraming(m *http1Head) (kind http1State, length int64) {
	if kind, ok := codingFraming(m); ok {
		if kind == http1Close {
			m.problem("the last transfer coding of the request is not chunked (RFC 9112 §6.3)")
		}
		return kind, 0
	}
	length, _ = contentLength(m)
	return http1Length, length
}

// responseFraming returns how the content of a response ends (RFC 9112 §6.3).
func responseFraming(m *http1Head, method string) (kind http1State, length int64) {
	status := m.parts.status
	if method == "HEAD" || status < 200 || status == 204 || status == 304 {
		return http1Length, 0
	}
	if kind, ok := codingFraming(m); ok {
		return kind, 0
	}
	if length, ok := contentLength(m); ok {
		return http1Length, length
	}
	return http1Close, 0
}

// codingFraming reports whether there is a Transfer-Encoding, and what it says.
func codingFraming(m *http1Head) (http1State, bool) {
	codings := items(m.fields, "transfer-encoding")
	if len(codings) == 0 {
		return 0, false
	}
	if fieldValue(m.fields, "content-length") != "" {
		m.problem("there are both Transfer-Encoding and Content-Length (RFC 9112 §6.3)")
	}
	last, _, _ := strings.Cut(codings[len(codings)-1], ";")
	if strings.EqualFold(strings.TrimSpace(last), "chunked") {
		return http1ChunkSize, true
	}
	return http1Close, true
}

// contentLength reports whether there is a Content-Length that can be used.
func contentLength(m *http1Head) (int64, bool) {
	lengths := items(m.fields, "content-length")
	if len(lengths) == 0 {
		return 0, false
	}
	for _, l := range lengths[1:] {
		if l != lengths[0] {
			m.problem("there are several values of Content-Length (RFC 9112 §6.3)")
		}
	}
	n, err := strconv.ParseUint(lengths[0], 10, 63)
	if err != nil {
		m.problem("the value of Content-Length is not valid (RFC 9110 §8.6)")
	}
	return int64(n), err == nil
}

// items returns the members of a list-based field (RFC 9110 §5.6.1).
func items(fields []Field, name string) []string {
	var list []string
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, name) {
			continue
		}
		for item := range strings.SplitSeq(fields[i].Value, ",") {
			if item = strings.Trim(item, " \t"); item != "" {
				list = append(list, item)
			}
		}
	}
	return list
}

// hasItem reports whether a list-based field has a member, without regard to case.
func hasItem(fields []Field, name, item string) bool {
	for _, i := range items(fields, name) {
		if strings.EqualFold(i, item) {
			return true
		}
	}
	return false
}
