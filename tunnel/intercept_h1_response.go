package tunnel

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/internal/netconn"
)

// passResponses relays what the origin sends until that ends.
func (r *h1relay) passResponses() error {
	p := &r.responses
	for {
		if r.refusalDue() {
			return nil
		}
		_, err := p.r.Peek(1)
		switch {
		case r.interrupted(err):
			continue // unless the refusal is due, another response is
		case netconn.IsTimeout(err) && r.open.Load() == 0: // the client has left, or the proxy shuts down
			return p.w.Flush()
		case netconn.IsTimeout(err) && r.draining(): // drain did not see that a request was on its way
			_ = r.originTLS.SetReadDeadline(time.Time{})
			continue
		case err == io.EOF:
			return p.w.Flush()
		case err != nil:
			return err
		}
		select {
		case x := <-r.pending:
			again, err := r.passResponse(x)
			x.tell(false)
			r.open.Add(-1)
			x.finish(r.session, err)
			if err != nil || !again {
				return err
			}
			if r.draining() && r.open.Load() == 0 {
				return p.w.Flush()
			}
		default: // nobody has asked: a last word such as 408, or no HTTP
			r.octets.Store(true)
			return p.copyOctets(nil)
		}
	}
}

// refusalDue reports whether a request was refused and those before it are answered.
func (r *h1relay) refusalDue() bool {
	if r.refusal.Load() == nil {
		return false
	}
	if r.open.Load() > 0 {
		_ = r.originTLS.SetReadDeadline(time.Time{})
		return false
	}
	return true
}

// finishResponses ends the direction, with the refusal where there is one.
func (r *h1relay) finishResponses(err error) error {
	refusal := r.refusal.Load()
	if refusal == nil || err != nil || r.open.Load() > 0 {
		return r.responses.endWith(err)
	}
	if _, err := r.responses.w.Write(r.pageHTTP1(refusal)); err != nil {
		return err
	}
	if err := r.responses.endWith(nil); err != nil {
		return err
	}
	return nil
}

// tell says once whether another protocol follows.
func (x *h1exchange) tell(switched bool) {
	if x.upgrade && !x.told {
		x.switched <- switched
		x.told = true
	}
}

func (x *h1exchange) finish(s *session, err error) {
	x.record.Sent, x.record.Received = x.sent.Load(), x.received.Load()
	s.auditExchange(&x.record, err)
}

// passResponse relays the response to a request, with the interim ones before it, and reports
// whether another may follow on the connection.
func (r *h1relay) passResponse(x *h1exchange) (again bool, err error) {
	p := &r.responses
	for {
		raw, err := p.readHead()
		if _, werr := p.w.Write(raw); werr != nil {
			return false, &writeError{werr}
		}
		if err != nil && !errors.Is(err, errHeadTooLarge) {
			return false, err
		}
		status, f, ok := parseH1Response(raw)
		if !ok || err != nil { // the client may make something of it
			return false, r.passSwitched(x)
		}
		if status != 101 && status >= 100 && status < 200 {
			continue
		}
		x.record.Status = status
		return r.passContent(x, status, &f)
	}
}

// passContent relays what follows the head of a final response, or of 101.
func (r *h1relay) passContent(x *h1exchange, status int, f *h1fields) (again bool, err error) {
	p := &r.responses
	method := x.record.Method
	if status == 101 && x.upgrade || method == "CONNECT" && status/100 == 2 {
		return false, r.passSwitched(x)
	}
	x.tell(false)
	switch {
	case method == "HEAD" || status == 204 || status == 304:
		return true, nil
	case f.codings == "chunked" || strings.HasSuffix(f.codings, ",chunked") || strings.HasSuffix(f.codings, " chunked"):
		return true, p.passChunked(&x.received)
	case f.codings == "" && f.lengths > 0 && f.length >= 0:
		return true, p.copyN(f.length, &x.received)
	}
	return false, p.copyOctets(&x.received) // to the end of the connection (RFC 9112 §6.3)
}

// passSwitched relays another protocol from here on, in both directions.
func (r *h1relay) passSwitched(x *h1exchange) error {
	r.octets.Store(true)
	x.tell(true)
	return r.responses.copyOctets(&x.received)
}

// parseH1Response parses the head of a response. Origins say many things, so that only what a relay
// has to know counts.
func parseH1Response(raw []byte) (status int, f h1fields, ok bool) {
	lines := strings.Split(string(raw), "\n")
	proto, rest, ok := strings.Cut(strings.TrimSuffix(lines[0], "\r"), " ")
	if !ok || !strings.HasPrefix(proto, "HTTP/1.") || len(rest) < 3 {
		return 0, f, false
	}
	status, err := strconv.Atoi(rest[:3])
	if err != nil || status < 100 {
		return 0, f, false
	}
	_ = f.parse(lines[1:], false) // which has no errors then
	return status, f, true
}
