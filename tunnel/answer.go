package tunnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"github.com/sluice-go/sluice/server"
)

// Error types of Proxy-Status (RFC 9209 §2.3) that this package uses.
const (
	typeDenied        = "http_request_denied"
	typeRequestError  = "http_request_error"
	typeInternal      = "proxy_internal_error"
	typeConfiguration = "proxy_configuration_error"
	typeLoop          = "proxy_loop_detected"
	typeLimit         = "connection_limit_reached"
	typeTerminated    = "connection_terminated"
	typeUnavailable   = "destination_unavailable"
	typeTimeout       = "connection_timeout"
	typeNoResponse    = "http_response_timeout"
	typeIncomplete    = "http_response_incomplete"
	typeProtocol      = "http_protocol_error"
)

// refusalOf returns the Refusal that err is or wraps, and one for any other error.
func refusalOf(err error) *Refusal {
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, context.DeadlineExceeded):
		return &Refusal{
			Status: http.StatusGatewayTimeout, Type: typeTimeout,
			Details: "the target was not reached in time", Err: err,
		}
	}
	return &Refusal{
		Status: http.StatusBadGateway, Type: typeUnavailable, Details: "the target was not reached", Err: err,
	}
}

// badRequest is the Refusal of a request that cannot be understood.
func badRequest(format string, args ...any) *Refusal {
	return &Refusal{Status: http.StatusBadRequest, Type: typeRequestError, Details: fmt.Sprintf(format, args...)}
}

// refuse answers with the Refusal that err is, and sets what rec says of the end.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, rec *Record, err error) {
	ref := refusalOf(err)
	rec.Status, rec.End, rec.Error = ref.Status, EndRefused, ref.Error()
	if ref.Err != nil && !strings.Contains(rec.Error, ref.Err.Error()) {
		rec.Error += ": " + ref.Err.Error()
	}
	if rec.Rule == "" {
		rec.Rule = ref.Rule
	}
	if r.Context().Err() != nil {
		rec.End = EndClientGone
	}
	p.logger().Info("refused", slog.String("target", rec.Target), slog.String("user", rec.User),
		slog.Any("client", rec.Client), slog.Int("status", ref.Status), slog.String("error", rec.Error))
	h := w.Header()
	for name, values := range ref.Header {
		h[name] = slices.Clone(values)
	}
	body := ref.body()
	h.Add("Proxy-Status", p.proxyStatus(ref)) // behind that of an upstream proxy
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	p.boundFlush(w, r)
	if r.ProtoMajor < 2 && r.Method == http.MethodConnect {
		switch {
		case ref.Status != http.StatusProxyAuthRequired:
			// A client that does not wait for the answer has sent octets of the tunnel, which must not
			// be taken for a request.
			h.Set("Connection", "close")
		case server.RefuseConnect(w, r, ref.Status, []byte(body)) == nil:
			return // the connection is kept, which schemes of several rounds need
		}
	}
	if r.ProtoMajor < 2 && r.ContentLength != 0 {
		// net/http reads the content before it answers, and closes the connection if that fails.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(refusedDrain)) // another server may not have it
	}
	w.WriteHeader(ref.Status)
	_, _ = w.Write([]byte(body)) // the client may have gone
}

// body is the text for people.
func (r *Refusal) body() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %s\n", r.Status, http.StatusText(r.Status), r.Details)
	if r.Rule != "" {
		fmt.Fprintf(&b, "rule: %s\n", r.Rule)
	}
	return b.String()
}

// proxyStatus returns the value of Proxy-Status (RFC 9209 §2) for a Refusal.
func (p *Proxy) proxyStatus(r *Refusal) string {
	params := httpsfv.NewParams()
	if r.Type != "" {
		params.Add("error", httpsfv.Token(r.Type))
	}
	if r.Rcode != "" {
		params.Add("rcode", printable(r.Rcode))
	}
	if text := r.Error(); text != "" {
		params.Add("details", printable(text))
	}
	return p.statusItem(params)
}

// nextHop returns the value of Proxy-Status for a response that has come from addr.
func (p *Proxy) nextHop(addr string) string {
	params := httpsfv.NewParams()
	if addr != "" {
		params.Add("next-hop", printable(addr))
	}
	return p.statusItem(params)
}

// statusItem returns the value of Proxy-Status with the proxy's name and parameters.
func (p *Proxy) statusItem(params *httpsfv.Params) string {
	name := p.name()
	item := httpsfv.Item{Value: httpsfv.Token(name), Params: params}
	s, err := httpsfv.Marshal(httpsfv.List{item})
	if err == nil {
		return s
	}
	item.Value = printable(name) // it is no token
	if s, err = httpsfv.Marshal(httpsfv.List{item}); err != nil {
		return "sluice" // an error type of a hook that is no token
	}
	return s
}

// printable makes text fit into a String of RFC 9651 §3.3.3.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f:
			return '?'
		}
		return r
	}, s)
}

func (p *Proxy) name() string {
	if p.Name != "" {
		return p.Name
	}
	return "sluice"
}

func (p *Proxy) logger() *slog.Logger {
	if p.Logger != nil {
		return p.Logger
	}
	return slog.New(slog.DiscardHandler)
}
