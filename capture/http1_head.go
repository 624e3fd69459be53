package capture

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
)

// An http1Head is a header section, or a trailer section, with the line before it.
type http1Head struct {
	first    time.Time // of its first octet
	line     string    // the start line
	parts    startLine
	fields   []Field
	trailer  bool
	bareLF   bool
	cut      bool  // octets of it are missing
	size     int64 // octets
	kept     int   // octets of fields, taken from the budget
	problems []string
}

// problem notes what is wrong, once.
func (m *http1Head) problem(s string) {
	if len(m.problems) < 20 && !slices.Contains(m.problems, s) {
		m.problems = append(m.problems, s)
	}
}

// add adds a field line.
func (m *http1Head) add(line string, long bool) {
	if long {
		m.problem("a line is longer than " + strconv.Itoa(maxHTTP1Line) + " octets: its end is not shown")
	}
	if line[0] == ' ' || line[0] == '\t' {
		m.fold(line)
		return
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		m.problem("a line of the header section has no colon")
		m.fields = append(m.fields, Field{Name: line})
		return
	}
	if trimmed := strings.TrimRight(name, " \t"); trimmed != name {
		m.problem("there is whitespace before the colon of a field (RFC 9112 §5.1)")
		name = trimmed
	}
	if !syntax.ValidToken(name) {
		m.problem("the name of a field is not a token (RFC 9110 §5.1)")
	}
	value = strings.Trim(value, " \t")
	if strings.ContainsAny(value, "\r\x00") {
		m.problem("the value of a field has CR or NUL (RFC 9110 §5.5)")
	}
	m.fields = append(m.fields, Field{Name: name, Value: value})
}

// fold adds a line to the value of the field before it.
func (m *http1Head) fold(line string) {
	if len(m.fields) == 0 {
		m.problem("whitespace stands before the first field (RFC 9112 §2.2)")
		m.fields = append(m.fields, Field{Name: strings.Trim(line, " \t")})
		return
	}
	m.problem("a field goes on in a line that begins with whitespace: obsolete line folding (RFC 9112 §5.2)")
	f := &m.fields[len(m.fields)-1]
	f.Value = strings.TrimRight(f.Value+" "+strings.Trim(line, " \t"), " ")
}

// message returns the event.
func (m *http1Head) message(conn uint64, number uint32, d Dir, t time.Time) *Message {
	if m.bareLF {
		m.problem("lines end with LF alone (RFC 9112 §2.2)")
	}
	return &Message{
		Conn: conn, Stream: number, Time: t, Dir: d, Line: m.line, Fields: slices.Clone(m.fields), Trailer: m.trailer,
		Problems: m.problems,
	}
}

// A startLine is a request line or a status line (RFC 9112 §3, §4).
type startLine struct {
	version        string // such as "HTTP/1.1"
	method, target string
	status         int
	reason         string
	problem        string
}

// parseRequestLine reports whether a line is a request line, or nearly so.
func parseRequestLine(line string) (s startLine, ok bool) {
	line = strings.TrimRight(line, " \t")
	method, rest, ok := strings.Cut(line, " ")
	end := strings.LastIndexByte(rest, ' ')
	if !ok || end < 0 || !syntax.ValidToken(method) || len(method) > 64 || !isHTTP1(rest[end+1:]) {
		return s, false
	}
	s = startLine{version: rest[end+1:], method: method, target: strings.Trim(rest[:end], " \t")}
	if s.target == "" {
		return s, false
	}
	if strings.ContainsAny(s.target, " \t") || s.target != rest[:end] {
		s.problem = "there is more whitespace in the request line than two spaces (RFC 9112 §3)"
	}
	return s, true
}

// parseStatusLine reports whether a line is a status line, or nearly so.
func parseStatusLine(line string) (s startLine, ok bool) {
	version, rest, ok := strings.Cut(line, " ")
	if !ok || !isHTTP1(version) {
		return s, false
	}
	code, reason, hasReason := strings.Cut(strings.TrimLeft(rest, " "), " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if err != nil || len(code) != 3 || status < 100 {
		return s, false
	}
	s = startLine{version: version, status: int(status), reason: reason}
	if !hasReason && rest == code {
		s.problem = "the status line has no space behind the status code (RFC 9112 §4)"
	}
	return s, true
}

// findStartLine looks for a start line at the end of a line whose beginning is something else.
func findStartLine(d Dir, line string) (s startLine, at int, ok bool) {
	const version = "HTTP/1."
	if d == Server {
		for at = strings.Index(line, version); at >= 0; {
			if s, ok = parseStatusLine(line[at:]); ok {
				return s, at, true
			}
			next := strings.Index(line[at+1:], version)
			if next < 0 {
				break
			}
			at += 1 + next
		}
		return s, 0, false
	}
	head, proto := cutLast(strings.TrimRight(line, " \t"), " ")
	head, target := cutLast(head, " ")
	if !isHTTP1(proto) || target == "" {
		return s, 0, false
	}
	for _, method := range [...]string{"GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"} {
		if strings.HasSuffix(head, method) {
			return startLine{version: proto, method: method, target: target}, len(head) - len(method), true
		}
	}
	return s, 0, false
}

// cutLast cuts s at the last separator.
func cutLast(s, separator string) (before, after string) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return "", s
	}
	return s[:i], s[i+len(separator):]
}

// isHTTP1 reports whether s is the name of a version of HTTP/1.
func isHTTP1(s string) bool {
	return len(s) == len("HTTP/1.1") && strings.HasPrefix(s, "HTTP/1.") && '0' <= s[7] && s[7] <= '9'
}
