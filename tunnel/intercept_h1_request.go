package tunnel

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
)

// passRequests relays what the client sends until that ends. An error of the client's ends the
// connection to the origin.
func (r *h1relay) passRequests() error {
	p := &r.requests
	err := r.passEachRequest()
	var written *writeError
	switch {
	case r.refusal.Load() != nil || errors.As(err, &written) && !r.octets.Load():
		// The response, or the refusal, says what there is to say. It would be lost if the client
		// found its octets not taken.
		_, _ = io.Copy(io.Discard, p.from)
	case errors.Is(err, errResponsesEnded):
	case err == nil && !r.octets.Load() && r.open.Load() == 0:
		_ = p.endWith(nil)
		_ = p.to.SetReadDeadline(time.Now().Add(closeGrace)) // nothing more is to come
	default:
		return p.endWith(err)
	}
	return err
}

func (r *h1relay) passEachRequest() error {
	p := &r.requests
	for first := true; ; first = false {
		_, err := p.r.Peek(1)
		switch {
		case err == io.EOF: //nolint:errorlint // the client has ended its direction
			return p.w.Flush()
		case err != nil:
			return err
		case r.octets.Load(), first && r.info.Protocol == "" && !p.beginsHTTP():
			r.octets.Store(true)
			return p.copyOctets(nil)
		}
		again, err := r.passRequest()
		if err != nil || !again {
			return err
		}
	}
}

// beginsHTTP reports whether what comes next is a request line, as far as the buffer shows it.
// Something has been read.
func (p *h1pipe) beginsHTTP() bool {
	for {
		b, _ := p.r.Peek(p.r.Buffered())
		line, _, whole := bytes.Cut(bytes.TrimLeft(b, "\r\n"), []byte("\n"))
		method, rest, ok := bytes.Cut(line, []byte(" "))
		switch {
		case len(method) > 0 && !syntax.ValidToken(string(method)) || len(method) > 64:
			return false
		case whole:
			return ok && bytes.Contains(rest, []byte("HTTP/"))
		case len(b) == h1Buffer:
			return ok
		}
		if _, err := p.r.Peek(len(b) + 1); err != nil {
			return ok
		}
	}
}

// passRequest relays one request, and reports whether another may follow.
func (r *h1relay) passRequest() (again bool, err error) {
	p := &r.requests
	raw, err := p.readHead()
	if err != nil && !errors.Is(err, errHeadTooLarge) {
		return false, err
	}
	if len(bytes.Trim(raw, "\r\n")) == 0 { // an empty line before a request (RFC 9112 §2.2)
		_, err := p.w.Write(raw)
		return true, err
	}
	head, refusal := parseH1Request(raw, err)
	if refusal == nil && head.method != "CONNECT" && (r.misdirected(head.authority) || r.misdirected(head.host)) {
		refusal = &Refusal{
			Status: http.StatusMisdirectedRequest, Type: typeDenied,
			Details: "the request is for another host than the tunnel",
		}
	}
	if refusal != nil {
		record := r.exchangeRecord(cmp.Or(head.proto, "HTTP/1.1"), head.method, head.path)
		record.Status = refusal.Status
		r.auditExchange(&record, refusal)
		return false, r.refuseRequest(refusal)
	}
	return r.passExchange(head, withCRLF(raw))
}

// passExchange relays one request that is not refused, by its head and its content.
func (r *h1relay) passExchange(head h1request, raw []byte) (again bool, err error) {
	p := &r.requests
	if head.method != "CONNECT" && r.mayHave(head.authority) {
		raw = r.setInHead(raw)
	}
	x := &h1exchange{record: r.exchangeRecord(head.proto, head.method, head.path), upgrade: head.upgrade}
	x.switched = make(chan bool, 1)
	r.open.Add(1)
	select {
	case r.pending <- x:
	case <-r.ended:
		return false, errResponsesEnded
	}
	if _, err := p.w.Write(raw); err != nil {
		return false, &writeError{err}
	}
	if head.chunked {
		err = p.passChunked(&x.sent)
	} else {
		err = p.copyN(head.length, &x.sent)
	}
	if err != nil || !x.upgrade {
		return err == nil, err
	}
	if err := p.w.Flush(); err != nil {
		return false, &writeError{err}
	}
	select {
	case switched := <-x.switched:
		if switched {
			return false, p.copyOctets(&x.sent)
		}
		return true, nil
	case <-r.ended:
		return false, errResponsesEnded
	}
}

var errResponsesEnded = errors.New("the origin has ended the connection")

// withCRLF returns the head with CRLF at the end of each line. A line feed alone ends a line for
// some recipients (RFC 9112 §2.2), and for others it does not.
func withCRLF(head []byte) []byte {
	if bytes.Count(head, []byte("\n")) == bytes.Count(head, []byte("\r\n")) {
		return head
	}
	out := make([]byte, 0, len(head)+64)
	for line := range bytes.Lines(head) {
		out = append(append(out, bytes.TrimRight(line, "\r\n")...), "\r\n"...)
	}
	return out
}

// refuseRequest has the direction of responses answer a request that is not sent on, behind the
// responses to those before it.
func (r *h1relay) refuseRequest(refusal *Refusal) error {
	r.refusal.Store(refusal)
	if err := r.requests.w.Flush(); err != nil {
		return &writeError{err}
	}
	if r.open.Load() == 0 {
		_ = r.originTLS.SetReadDeadline(time.Unix(1, 0))
	}
	return refusal
}

// h1request is what a relay has to know of the head of a request.
type h1request struct {
	proto, method, path string

	authority string // of the target, or else Host
	host      string // Host

	upgrade bool
	chunked bool
	length  int64
}

// parseH1Request parses the head of a request. What peers may read in different ways is refused
// (RFC 9112 §11.2). tooLarge is set where raw is not all of it.
func parseH1Request(raw []byte, tooLarge error) (h h1request, refusal *Refusal) {
	if tooLarge != nil {
		return h, &Refusal{Status: 431, Type: typeRequestError, Details: tooLarge.Error()}
	}
	bad := func(format string, a ...any) (h1request, *Refusal) {
		return h, badRequest("the request is malformed: "+format, a...)
	}
	lines := strings.Split(string(bytes.TrimLeft(raw, "\r\n")), "\n")
	line := strings.TrimSuffix(lines[0], "\r")
	method, rest, ok := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !syntax.ValidToken(method) || target == "" || proto != "HTTP/1.1" && proto != "HTTP/1.0" ||
		strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return bad("its request line")
	}
	h.proto, h.method, h.path = proto, method, target
	var f h1fields
	if err := f.parse(lines[1:], true); err != nil {
		return bad("%v", err)
	}
	h.authority, h.host = f.host, f.host
	if method != "CONNECT" && target[0] != '/' && target != "*" { // absolute-form (RFC 9112 §3.2.2)
		u, err := url.Parse(target)
		if err != nil || u.Host == "" {
			return bad("its target")
		}
		h.authority, h.path = u.Host, u.EscapedPath()
	}
	switch {
	case f.hosts > 1:
		return bad("it has more than one Host field")
	case f.coded && (f.lengths > 0 || proto == "HTTP/1.0" || f.codings != "chunked"):
		return bad("its length is not certain")
	case f.lengths > 0 && f.length < 0:
		return bad("its Content-Length")
	}
	h.chunked, h.length = f.coded, max(f.length, 0)
	h.upgrade = method == "CONNECT" || f.upgrade && syntax.HasToken(f.connection, "upgrade")
	return h, nil
}

// h1fields are the fields that say where a message ends.
type h1fields struct {
	host       string
	hosts      int
	lengths    int   // Content-Length fields
	length     int64 // their value, -1 where that is not one number
	coded      bool  // there is a Transfer-Encoding field
	codings    string
	connection []string
	upgrade    bool
}

// parse parses field lines up to the empty one. strict has everything that is malformed be an
// error.
func (f *h1fields) parse(lines []string, strict bool) error {
	for _, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			return nil
		}
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t")
		if strict && (!ok || !syntax.ValidToken(name) || !syntax.ValidValue(value)) {
			return errors.New("a field line")
		}
		switch strings.ToLower(name) {
		case "host":
			f.host, f.hosts = value, f.hosts+1
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || f.lengths > 0 && int64(n) != f.length {
				f.length = -1
			} else {
				f.length = int64(n)
			}
			f.lengths++
		case "transfer-encoding":
			if f.codings != "" {
				f.codings += ","
			}
			f.codings += strings.ToLower(value)
			f.coded = true
		case "connection":
			f.connection = append(f.connection, value)
		case "upgrade":
			f.upgrade = true
		}
	}
	return nil
}

// setInHead returns the head of a request with the fields that are to be set.
func (s *session) setInHead(raw []byte) []byte {
	out := make([]byte, 0, len(raw)+256)
	for line := range bytes.Lines(raw) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 && len(out) > 0 {
			break
		}
		name, _, ok := bytes.Cut(line, []byte(":"))
		if ok && len(out) > 0 && s.setsField(strings.ToLower(string(name))) {
			continue
		}
		out = append(out, line...)
	}
	for _, f := range s.set {
		out = append(out, http.CanonicalHeaderKey(f.Name)+": "+f.Value+"\r\n"...)
	}
	return append(out, '\r', '\n')
}
