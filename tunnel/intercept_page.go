package tunnel

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
)

// refuse makes TLS with the client and answers its requests with a page that says why there is no
// connection to the origin, which a person at a browser reads. The error is that of the refusal.
func (s *session) refuse(hello *tls.ClientHelloInfo, refusal *Refusal) error {
	protocol := ""
	if list := hello.SupportedProtos; len(list) > 0 {
		i := slices.IndexFunc(list, func(p string) bool { return p == "h2" || p == "http/1.1" })
		if i < 0 {
			s.sendAlert(alertHandshakeFailure)
			return refusalError(refusal)
		}
		protocol = list[i]
	}
	_ = s.origin.Close()
	if err := s.handshakeClient(protocol, 0); err != nil {
		return fmt.Errorf("%w; the client was not told: %w", refusalError(refusal), err)
	}
	if protocol == "h2" {
		s.refuseHTTP2(refusal)
	} else {
		s.refuseHTTP1(refusal)
	}
	return refusalError(refusal)
}

func refusalError(r *Refusal) error {
	if r.Err == nil {
		return r
	}
	return fmt.Errorf("%w: %w", r, r.Err)
}

// refuseHTTP2 answers the first requests of an HTTP/2 connection.
func (s *session) refuseHTTP2(refusal *Refusal) {
	h := &h2refuser{s: s, refusal: refusal}
	h.c = conn.NewServer(s.clientTLS, conn.Config{
		MaxHeaderBytes: maxInterceptedHead, IdleTimeout: closeGrace, MaxConnectionAge: time.Minute,
		MaxConnectionAgeGrace: closeGrace,
	}, h)
	_ = h.c.Serve()
}

// h2refuser is a conn.Handler that answers all requests with the same page.
type h2refuser struct {
	s       *session
	c       *conn.Server
	refusal *Refusal
}

func (h *h2refuser) HandleStreams(batch []*conn.Stream) {
	for _, st := range batch {
		m := st.Message()
		record := h.s.exchangeRecord("HTTP/2.0", m.Method, m.Path)
		record.Status = h.refusal.Status
		fields, body := h.s.page(h.refusal)
		if m.Method == "HEAD" {
			body = nil
		}
		if err := st.ReplyAndRelease(fields, body, nil); err != nil {
			st.Release()
		}
		h.s.auditExchange(&record, h.refusal)
	}
	h.c.FlushNoWait()
}

func (h *h2refuser) StreamBlocked(*conn.Stream) {}
func (h *h2refuser) ConnState(bool)             {}

// refuseHTTP1 answers the first request of an HTTP/1.1 connection.
func (s *session) refuseHTTP1(refusal *Refusal) {
	_ = s.clientTLS.SetDeadline(time.Now().Add(s.i.handshakeTimeout()))
	p := newH1Pipe(s.clientTLS, s.clientTLS, s.clientRaw, s.clientRaw)
	raw, err := p.readHead()
	if err != nil {
		return
	}
	head, _ := parseH1Request(raw, nil)
	record := s.exchangeRecord(cmp.Or(head.proto, "HTTP/1.1"), head.method, head.path)
	record.Status = refusal.Status
	page := s.pageHTTP1(refusal)
	if head.method == "HEAD" {
		page = page[:strings.Index(string(page), "\r\n\r\n")+4]
	}
	_, _ = p.w.Write(page)
	_ = p.endWith(nil)
	s.auditExchange(&record, refusal)
	_ = s.clientTLS.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, bufio.NewReaderSize(s.clientTLS, 512))
}

// page is a response for a refusal, as fields of HTTP/2 and a body.
func (s *session) page(r *Refusal) ([]header.Field, []byte) {
	body := []byte(r.body())
	return []header.Field{
		{Name: ":status", Value: strconv.Itoa(r.Status)},
		{Name: "content-type", Value: "text/plain; charset=utf-8"},
		{Name: "content-length", Value: strconv.Itoa(len(body))},
		{Name: "cache-control", Value: "no-store"},
		{Name: "x-content-type-options", Value: "nosniff"},
		{Name: "proxy-status", Value: s.p.proxyStatus(r)},
	}, body
}

// pageHTTP1 is page for HTTP/1.1.
func (s *session) pageHTTP1(r *Refusal) []byte {
	fields, body := s.page(r)
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	for _, f := range fields[1:] {
		fmt.Fprintf(&b, "%s: %s\r\n", http.CanonicalHeaderKey(f.Name), f.Value)
	}
	b.WriteString("Connection: close\r\n\r\n")
	b.Write(body)
	return []byte(b.String())
}

// maxRecordPath bounds the path in a record.
const maxRecordPath = 2 << 10

// exchangeRecord begins the record of an exchange.
func (s *session) exchangeRecord(proto, method, path string) Record {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	t := s.record
	return Record{
		Time: time.Now(), User: t.User, Client: t.Client, Proto: proto, Kind: KindExchange, Target: t.Target,
		Method: method, Path: path[:min(len(path), maxRecordPath)], Addr: t.Addr, Upstream: t.Upstream, Rule: t.Rule,
	}
}

// auditExchange hands the record of an exchange over that has ended.
func (s *session) auditExchange(r *Record, err error) {
	if s.p.Audit == nil {
		return
	}
	r.Duration = time.Since(r.Time)
	s.setEnd(r, err)
	s.p.Audit(r)
}
