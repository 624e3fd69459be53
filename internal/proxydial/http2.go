package proxydial

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/syntax"
)

// userAgent is that of net/http, where the fields of the request have none.
const userAgent = "Go-http-client/2.0"

// withAnswerTimeout bounds the wait for an answer.
func (d *Dialer) withAnswerTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return withTimeout(ctx, cmp.Or(d.AnswerTimeout, DefaultAnswerTimeout))
}

// overHTTP2 sends the request on a connection on which a stream is reserved.
func (x *exchange) overHTTP2(ctx context.Context, l lease) (net.Conn, error) {
	ctx, cancel := x.d.withAnswerTimeout(ctx)
	defer cancel()
	if s, _ := l.c.KnownSettings(); x.udpPath != "" && !s.EnableConnectProtocol {
		l.c.Unreserve()
		return nil, x.failed(nil, ErrNoConnectProtocol)
	}
	for {
		req, err := x.request()
		if err != nil {
			l.c.Unreserve()
			return nil, err
		}
		st, err := l.c.OpenRequest(&conn.Request{Fields: x.fieldsOf(req), Reserved: true})
		if err != nil { // it takes no more streams
			return nil, &retryError{x.failed(nil, err)}
		}
		resp, err := x.awaitAnswer(ctx, st, req, l.reused)
		if err != nil {
			st.Release()
			l.c.FlushNoWait()
			return nil, err
		}
		if ok, err := x.opened(resp); ok {
			return conn.NewTunnel(st, nil), nil
		} else if err != nil {
			st.Reset(frame.ProtocolError) // the message is malformed
			st.Release()
			l.c.FlushNoWait()
			return nil, x.failed(resp, err)
		}
		again, err := x.answerChallenge(ctx, resp)
		var refusal error
		if err == nil {
			refusal = x.refused(resp, func() { st.Reset(frame.Cancel) }, false, !again)
		}
		st.Release()
		l.c.FlushNoWait()
		switch {
		case err != nil:
			return nil, err
		case !again:
			return nil, refusal
		case l.c.Reserve() != nil: // its limit is reached, or it takes no more streams
			return nil, errAgain
		}
	}
}

// awaitAnswer waits for the final response. The stream is released by the caller.
func (x *exchange) awaitAnswer(
	ctx context.Context, st *conn.Stream, req *http.Request, reused bool,
) (*http.Response, error) {
	m, err := st.HeadContext(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		st.Probe() // the connection may be lost: the next tunnel is to know
		return nil, x.failed(nil, ctx.Err())
	case err != nil && mayRetry(err, reused):
		return nil, &retryError{x.failed(nil, err)}
	case err != nil:
		return nil, x.failed(nil, unexpectedEnd(err))
	}
	resp := responseOf(ctx, m, st, req)
	if m.TooLarge {
		return nil, x.failed(resp, errLongHead)
	}
	if f := x.d.OnResponse; f != nil {
		if err := f(ctx, req, resp); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// fieldsOf returns the fields of a request as HTTP/2 has them.
func (x *exchange) fieldsOf(req *http.Request) []header.Field {
	fields := x.pseudoFields(req)
	if _, ok := req.Header["User-Agent"]; !ok {
		fields = append(fields, header.Field{Name: "user-agent", Value: userAgent})
	}
	names := make([]string, 0, len(req.Header))
	for name := range req.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lower := strings.ToLower(name)
		switch lower {
		case "host", "content-length", "connection", "proxy-connection", "keep-alive", "te", "transfer-encoding",
			"trailer", "upgrade": // of HTTP/1.1 and its connections (RFC 9113 §8.2.2), or of a body
			continue
		}
		for _, v := range req.Header[name] {
			if v == "" && lower == "user-agent" {
				continue // as in net/http
			}
			// Credentials are in no table of HPACK (RFC 7541 §7.1.3).
			secret := lower == "proxy-authorization" || lower == "authorization"
			fields = append(fields, header.Field{Name: lower, Value: syntax.TrimValue(v), Sensitive: secret})
		}
	}
	return fields
}

// responseOf returns a response in net/http's form.
func responseOf(ctx context.Context, m *header.Message, st *conn.Stream, req *http.Request) *http.Response {
	resp := &http.Response{
		Status: statusText(m.Status), StatusCode: m.Status,
		Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: make(http.Header, len(m.Fields)), Body: http.NoBody, ContentLength: -1, Request: req,
	}
	for _, f := range m.Fields {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		resp.Header[name] = append(resp.Header[name], f.Value)
	}
	if m.Status/100 != 2 {
		resp.ContentLength = m.ContentLength
		resp.Body = streamBody{ctx, st}
	}
	return resp
}

// streamBody is the body of a refusal. It is valid until the stream is released.
type streamBody struct {
	ctx context.Context
	st  *conn.Stream
}

func (b streamBody) Read(p []byte) (int, error) { return b.st.ReadContext(b.ctx, p) }

// Close does nothing: the stream is released later.
func (streamBody) Close() error { return nil }

var _ io.ReadCloser = streamBody{}
