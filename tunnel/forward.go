package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-go/sluice/internal/syntax"
)

// errIdle is the cause of a request's end that has made no progress for Proxy.IdleTimeout.
var errIdle = errors.New("tunnel: no progress within IdleTimeout")

// errClosed is the cause of a request's end that Shutdown or Close has cut off.
var errClosed = errors.New("tunnel: the proxy is closed")

// forward sends the request on to its origin, and the response back (RFC 9110 §7.6).
func (x *request) forward() {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	f := &forward{request: x, cancel: cancel}
	stop := context.AfterFunc(x.p.init().closed, func() { f.cut(errClosed) })
	defer stop()
	if idle := x.p.idleTimeout(); idle > 0 {
		f.idle = idle
		f.timer = x.p.afterFunc(idle, func() { f.cut(errIdle) })
		defer f.timer.Stop()
	}
	out, done := f.prepare(ctx)
	if done {
		return
	}
	resp, err := f.send(out)
	f.endInterim()
	defer f.count()
	if err != nil {
		f.refuseCut(f.explain(ctx, err))
		return
	}
	defer resp.Body.Close()
	f.respond(ctx, resp)
	f.end()
}

// forward is a request on its way to an origin.
type forward struct {
	*request
	cancel   context.CancelCauseFunc
	idle     time.Duration // limit, 0: none
	timer    timer         // of the limit
	mu       sync.Mutex
	sentHead bool // no interim response is to be sent any more; guarded by mu

	denied    error // what the policy says of the address of the connection that the request got
	upstream  *url.URL
	clientErr atomic.Pointer[error] // of reading the content

	body           *countedBody // nil for none
	sent, received atomic.Int64 // octets of content

	client clientSideOf
}

// count puts into the record what was carried.
func (f *forward) count() { f.rec.Sent, f.rec.Received = f.sent.Load(), f.received.Load() }

// touch says that there was progress.
func (f *forward) touch() {
	if f.timer != nil {
		f.timer.Reset(f.idle)
	}
}

// prepare makes the request to send. It reports true where the client has its answer.
func (f *forward) prepare(ctx context.Context) (out *http.Request, done bool) {
	p, r := f.p, f.r
	if err := f.checkLoop(); err != nil {
		return nil, f.refuse(err)
	}
	if done, err := f.maxForwards(); done || err != nil {
		return nil, done || f.refuse(err)
	}
	var err error
	if f.upstream, err = p.checkTarget(ctx, f.target, f.rec); err != nil {
		return nil, f.refuse(err)
	}
	u := *r.URL
	u.Scheme, u.User, u.Fragment = "http", nil, ""
	if u.Host = r.Host; r.ProtoMajor < 2 {
		u.Host = r.URL.Host
	}
	if r.Method == http.MethodOptions && u.Path == "" && u.RawQuery == "" {
		u.Opaque = "*" // RFC 9112 §3.2.4
	}
	out = (&http.Request{
		Method: r.Method, URL: &u, Host: u.Host, Header: r.Header.Clone(), ContentLength: r.ContentLength,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Trailer: r.Trailer,
	}).WithContext(f.trace(ctx))
	if out.Header == nil {
		out.Header = make(http.Header)
	}
	if r.Body != nil && r.ContentLength != 0 {
		f.body = &countedBody{f: f}
		out.Body = f.body
	}
	trailers := syntax.HasToken(r.Header["Te"], "trailers")
	removeHopByHop(out.Header)
	if trailers {
		out.Header.Set("Te", "trailers")
		out.Header.Set("Connection", "TE")
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // none is invented
	}
	out.Header.Add("Via", viaVersion(r)+" "+p.state.via)
	return out, false
}

// refuse answers with a refusal, and returns true.
func (f *forward) refuse(err error) bool {
	f.p.refuse(f.w, f.r, f.rec, err)
	return true
}

// trace returns a context with which the transport tells of the connection and of interim
// responses.
func (f *forward) trace(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, forwardKey{}, f)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if a := info.Conn.RemoteAddr(); a != nil && f.upstream == nil {
				f.rec.Addr = a.String()
			}
			f.checkConn(ctx, info.Conn)
		},
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code != http.StatusContinue { // 100 is sent when the content is read
				f.interim(code, http.Header(header))
			}
			return nil
		},
	})
}

// forwardKey finds the *forward in the context of the request that it sends.
type forwardKey struct{}

// endInterim has no more interim responses sent.
func (f *forward) endInterim() {
	f.mu.Lock()
	f.sentHead = true
	f.mu.Unlock()
}

// interim sends a 1xx response on. The goroutine that reads from the origin calls it.
func (f *forward) interim(code int, header http.Header) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sentHead || !f.r.ProtoAtLeast(1, 1) { // HTTP/1.0 has none (RFC 9110 §15.2)
		return
	}
	f.touch()
	h := f.w.Header()
	header = header.Clone()
	removeHopByHop(header)
	for name, values := range header {
		h[name] = values
	}
	f.w.WriteHeader(code)
	for name := range header {
		delete(h, name)
	}
}

// send sends the request and returns the response's head.
func (f *forward) send(out *http.Request) (*http.Response, error) {
	if f.r.ProtoMajor < 2 && out.Body != nil {
		// A response may come before the content has gone. Where that is not supported, it waits.
		_ = http.NewResponseController(f.w).EnableFullDuplex()
	}
	resp, err := f.p.transportFor(f).RoundTrip(out)
	f.touch()
	if err != nil || resp.StatusCode >= http.StatusOK && resp.StatusCode <= 999 {
		return resp, err
	}
	_ = resp.Body.Close()
	details := fmt.Sprintf("the origin's response is malformed: its status is %d", resp.StatusCode)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		details = "the origin has changed the protocol, for which the request did not ask"
	}
	return nil, &Refusal{Status: http.StatusBadGateway, Type: typeProtocol, Details: details}
}

// explain returns the Refusal for a request that has got no response.
func (f *forward) explain(ctx context.Context, err error) error {
	var r *Refusal
	var ne net.Error
	cause := context.Cause(ctx)
	bad := func(status int, typ, details string) error {
		return &Refusal{Status: status, Type: typ, Details: details, Err: err}
	}
	switch {
	case errors.Is(cause, errClosed):
		return bad(http.StatusServiceUnavailable, typeTerminated, "the proxy shuts down")
	case errors.Is(cause, errIdle):
		return bad(http.StatusGatewayTimeout, typeNoResponse, "the origin has not answered in time")
	case errors.As(err, &r):
		return r
	case f.denied != nil:
		return f.denied
	case f.clientErr.Load() != nil:
		return &Refusal{
			Status: http.StatusBadRequest, Type: typeRequestError,
			Details: "the content of the request has not come whole", Err: *f.clientErr.Load(),
		}
	case errors.As(err, &ne) && ne.Timeout():
		return bad(http.StatusGatewayTimeout, typeNoResponse, "the origin has not answered in time")
	case connectionEnded(err):
		return bad(http.StatusBadGateway, typeTerminated, "the origin has closed the connection without a response")
	}
	return bad(http.StatusBadGateway, typeProtocol, "the origin's response is malformed")
}

// connectionEnded reports whether a transport's error is the end of the connection: the others are
// of what the origin has sent, and net/http has no type for them.
func connectionEnded(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.Canceled) ||
		strings.Contains(err.Error(), "server closed")
}

// maxForwards counts Max-Forwards down for OPTIONS and TRACE (RFC 9110 §7.6.2). It reports true
// where the proxy was the one that was asked, and has answered.
func (f *forward) maxForwards() (done bool, err error) {
	r := f.r
	v := r.Header.Get("Max-Forwards")
	if v == "" || r.Method != http.MethodOptions && r.Method != http.MethodTrace {
		return false, nil
	}
	n := 0
	for i := range len(v) {
		if v[i] < '0' || v[i] > '9' {
			return false, badRequest("Max-Forwards: %q is no number", bounded(v))
		}
		n = min(n*10+int(v[i]-'0'), 1<<20)
	}
	if n > 0 {
		r.Header.Set("Max-Forwards", fmt.Sprint(n-1))
		return false, nil
	}
	f.rec.End, f.rec.Status = EndClosed, http.StatusOK
	h := f.w.Header()
	if r.Method == http.MethodOptions {
		h.Set("Allow", "CONNECT, DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT, TRACE")
		h.Set("Content-Length", "0")
		f.w.WriteHeader(http.StatusOK)
		return true, nil
	}
	h.Set("Content-Type", "message/http")
	f.w.WriteHeader(http.StatusOK)
	_, _ = f.w.Write(traced(r)) // the client may have gone
	return true, nil
}

// traced returns the request as the proxy has got it, without what must not be seen (RFC 9110
// §9.3.8).
func traced(r *http.Request) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "TRACE %s %s\r\nHost: %s\r\n", r.RequestURI, r.Proto, r.Host)
	h := r.Header.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		h.Del(name)
	}
	_ = h.Write(&b) // a Builder takes everything
	b.WriteString("\r\n")
	return []byte(b.String())
}
