package capture

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// WriteHTTP1 writes a request and its responses as HTTP/1.1 has them, with LF for ends of lines:
// :authority is Host, the pieces of cookie are joined (RFC 9113 §8.2.3), and the other fields come
// in the order in which they were sent.
//
// content is, by Dir, what a ContentDecoder has made of the bodies, or nil. It is shown where it is
// text. Lines in brackets say what HTTP/1.1 cannot: how an exchange ended, which octets are not
// shown, that what follows are trailers. Whatever was sent cannot do more to a terminal than be
// shown: control characters and such are written as \x1b.
func (r *Request) WriteHTTP1(w io.Writer, content [2]*Content) error {
	f := http1Form{bufio.NewWriter(w)}
	f.request(r, content[Client])
	for _, i := range r.Interim {
		f.status("", i.Status, "")
		f.fields(i.Fields)
		f.line("")
	}
	f.response(r, content[Server])
	f.notes(r)
	return f.w.Flush()
}

// http1Form writes exchanges as HTTP/1.1.
type http1Form struct{ w *bufio.Writer }

// line writes a line, of which parts may come from a peer.
func (f http1Form) line(parts ...string) {
	for _, p := range parts {
		writeSafe(f.w, p, "")
	}
	_ = f.w.WriteByte('\n')
}

// note writes a line in brackets.
func (f http1Form) note(format string, a ...any) {
	f.line("[" + fmt.Sprintf(format, a...) + "]")
}

func (f http1Form) request(r *Request, content *Content) {
	if r.StartMissing {
		f.note("the request was not seen")
		f.content(Client, r, content)
		return
	}
	if r.Pushed {
		f.note("pushed by the server on stream %d", r.Parent)
	}
	target := r.Path
	if r.Method == "CONNECT" && r.Protocol == "" {
		target = r.Authority
	}
	version := "HTTP/1.1"
	if strings.HasPrefix(r.Version, "HTTP/1.") {
		version = r.Version
	}
	f.line(orUnknown(r.Method), " ", orUnknown(target), " ", version)
	if r.Method == "CONNECT" && r.Protocol != "" {
		f.note(":protocol %s (RFC 8441)", r.Protocol)
	}
	if host := fieldValue(r.Fields[Client], ":authority"); host != "" {
		f.line("host: ", host)
	}
	f.fields(r.Fields[Client])
	f.line("")
	f.content(Client, r, content)
	f.trailers(r.Trailers[Client])
}

func (f http1Form) response(r *Request, content *Content) {
	if r.Status == 0 && len(r.Fields[Server]) == 0 {
		if r.Body[Server] == 0 {
			f.note("no response was seen")
		}
	} else {
		f.status(r.Version, r.Status, r.Reason)
		f.fields(r.Fields[Server])
		f.line("")
	}
	f.content(Server, r, content)
	f.trailers(r.Trailers[Server])
}

// status writes a status line.
func (f http1Form) status(version string, status int, reason string) {
	if !strings.HasPrefix(version, "HTTP/1.") {
		version, reason = "HTTP/1.1", http.StatusText(status)
	}
	f.line(version, " ", strconv.Itoa(status), " ", reason)
}

// fields writes a header section, without pseudo-fields.
func (f http1Form) fields(fields []Field) {
	crumbs := 0
	host := fieldValue(fields, ":authority")
	for i := range fields {
		field := &fields[i]
		switch {
		case field.State == UnknownField && field.Value == "":
			f.note("a field that is not known: index %d of the table, which the capture has no beginning of", field.Index)
		case strings.HasPrefix(field.Name, ":"), host != "" && field.Name == "host" && field.Value == host:
		case field.Name == "cookie":
			if crumbs++; crumbs == 1 {
				f.line("cookie: ", joinCookies(fields[i:]))
			}
		case field.State != Known:
			f.line(field.Name, ": ", field.Value)
			f.note("octets were lost before the last field: it may be another one")
		default:
			f.line(field.Name, ": ", field.Value)
		}
	}
}

// joinCookies joins the pieces that cookie was sent in (RFC 9113 §8.2.3).
func joinCookies(fields []Field) string {
	var crumbs []string
	for i := range fields {
		if fields[i].Name == "cookie" {
			crumbs = append(crumbs, fields[i].Value)
		}
	}
	return strings.Join(crumbs, "; ")
}

func (f http1Form) trailers(fields []Field) {
	if len(fields) == 0 {
		return
	}
	f.note("trailers")
	f.fields(fields)
	f.line("")
}

// content writes what a message carries.
func (f http1Form) content(d Dir, r *Request, c *Content) {
	n := r.Body[d]
	switch {
	case c == nil && n == 0:
		return
	case c == nil:
		f.note("%d octets of content", n)
	case len(c.Messages) > 0:
		f.messages(c.Messages)
	case !isText(c.Octets):
		f.note("%d octets of content that is no text", len(c.Octets))
	default:
		f.text(c.Octets)
	}
	if c != nil && len(c.Codings) > 0 {
		f.note("sent as %d octets with %s", c.Sent, strings.Join(c.Codings, ", "))
	}
	if c != nil && c.Err != nil {
		f.note("the content ends here: %s", c.Err)
	}
	f.line("")
}

// text writes lines of text.
func (f http1Form) text(p []byte) {
	writeSafe(f.w, p, "\n\t")
	if len(p) > 0 && p[len(p)-1] != '\n' {
		f.line("")
	}
}

// messages writes those of gRPC, which are shown where they are text.
func (f http1Form) messages(list []GRPCMessage) {
	for i := range list {
		m := &list[i]
		how := ""
		if m.Compressed {
			how = fmt.Sprintf(", sent as %d that are compressed", m.Sent)
		}
		f.note("message %d: %d octets%s", i+1, len(m.Octets), how)
		if isText(m.Octets) {
			f.text(m.Octets)
		}
		if m.Err != nil {
			f.note("the message ends here: %s", m.Err)
		}
	}
}

// notes writes how the exchange ended.
func (f http1Form) notes(r *Request) {
	if g := r.GRPC; g != nil && g.Status >= 0 {
		f.note("gRPC status %d %s", g.Status, g.Message)
	}
	switch {
	case r.ResetBy != "":
		f.note("reset by the %s: %s", r.ResetBy, r.ResetCode)
	case r.GoAway:
		f.note("not processed, as GOAWAY says")
	case !r.Complete:
		f.note("not complete")
	}
	if r.Lossy {
		f.note("octets were lost while it was open: parts may be missing")
	}
	if r.Problem != "" {
		f.note("%s", r.Problem)
	}
}

// orUnknown returns "?" in place of what was not seen.
func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

// isText reports whether p can be shown as lines of text. Its last character may be cut.
func isText(p []byte) bool {
	for n := 0; len(p) > 0; {
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 && utf8.FullRune(p) || r == 0 {
			return false
		}
		if r < ' ' && !strings.ContainsRune("\t\n\r\f\x1b", r) {
			if n++; n > 8 {
				return false
			}
		}
		p = p[size:]
	}
	return true
}

// writeSafe writes text of a peer. What a terminal might act on is written as an escape, but for
// the characters in keep, and for CR before LF, which is left away where LF is kept.
func writeSafe[T string | []byte](w *bufio.Writer, s T, keep string) {
	for i := 0; i < len(s); {
		if s[i] >= ' ' && s[i] < 0x7f {
			_ = w.WriteByte(s[i])
			i++
			continue
		}
		var next [utf8.UTFMax]byte
		r, n := utf8.DecodeRune(next[:copy(next[:], s[i:])])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(w, `\x%02x`, s[i])
		case strings.ContainsRune(keep, r), !unsafeRune(r):
			_, _ = w.WriteRune(r)
		case r == '\r' && keep != "" && i+1 < len(s) && s[i+1] == '\n':
		case r < 0x80:
			fmt.Fprintf(w, `\x%02x`, r)
		default:
			fmt.Fprintf(w, `\u%04x`, r)
		}
		i += n
	}
}
