package tunnel

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sluice-go/sluice/client"
)

var (
	errNoRFC8441 = errors.New("tunnel: the origin speaks HTTP/2 without extended CONNECT (RFC 8441)")
	errBadSwitch = errors.New("tunnel: the origin's 101 (Switching Protocols) is not that of a WebSocket")
)

// ask asks the origin for the WebSocket, over TLS with what ALPN chooses.
func (ws *webSocket) ask(ctx context.Context, nc net.Conn, protos []string) (net.Conn, *http.Response, error) {
	if !ws.secure {
		return ws.askHTTP1(ctx, nc)
	}
	tc := tls.Client(nc, &tls.Config{ServerName: ws.target.Host, RootCAs: ws.p.RootCAs, NextProtos: protos})
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, nil, &tlsError{err}
	}
	if tc.ConnectionState().NegotiatedProtocol == "h2" {
		return ws.askHTTP2(ctx, tc)
	}
	return ws.askHTTP1(ctx, tc)
}

// tlsError is that of a handshake.
type tlsError struct{ error }

func (e *tlsError) Unwrap() error { return e.error }

// askHTTP2 asks for the WebSocket with extended CONNECT (RFC 8441 §5). The connection is closed
// when the stream has ended.
func (ws *webSocket) askHTTP2(ctx context.Context, tc *tls.Conn) (net.Conn, *http.Response, error) {
	tr := &client.Transport{
		DisableCompression: true, Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	cc, err := tr.NewClientConn(tc)
	if err != nil {
		return nil, nil, err
	}
	u := *ws.url
	u.Scheme, u.Host = "https", ws.host
	req := (&http.Request{Method: http.MethodConnect, URL: &u, Host: ws.host, Header: ws.header.Clone()}).WithContext(ctx)
	req.Header[":protocol"] = []string{"websocket"}
	tunnel, resp, err := cc.Connect(req)
	switch {
	case errors.Is(err, client.ErrNoConnectProtocol):
		_ = cc.Close()
		return nil, nil, errNoRFC8441
	case err != nil:
		_ = cc.Close()
		return nil, nil, err
	}
	cc.Conn().Shutdown()
	if tunnel == nil {
		return nil, resp, nil
	}
	return tunnel, resp, nil
}

// explain returns the Refusal for an origin that was reached and has not answered as it must.
func (ws *webSocket) explain(err error) error {
	var ref *Refusal
	var tlsErr *tlsError
	var cert *tls.CertificateVerificationError
	var ne net.Error
	bad := func(status int, typ, details string) error {
		return &Refusal{Status: status, Type: typ, Rule: ws.rec.Rule, Details: details, Err: err}
	}
	isTLS := errors.As(err, &tlsErr)
	switch {
	case errors.As(err, &ref):
		return ref
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout():
		return bad(http.StatusGatewayTimeout, typeNoResponse, "the origin has not answered in time")
	case errors.As(err, &cert):
		return bad(http.StatusBadGateway, "tls_certificate_error", "the origin's certificate is not valid: "+cert.Err.Error())
	case isTLS:
		return bad(http.StatusBadGateway, "tls_protocol_error", "the TLS handshake with the origin has failed")
	case errors.Is(err, errBadSwitch), errors.Is(err, errNoRFC8441):
		return bad(http.StatusBadGateway, typeProtocol, err.Error()[len("tunnel: "):])
	}
	return bad(http.StatusBadGateway, typeTerminated, "the origin has given no response of HTTP")
}

// webSocketAccept returns the Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// webSocketMemory has the origins that speak HTTP/2 without RFC 8441, so that the next WebSocket
// asks for HTTP/1.1 at once.
type webSocketMemory struct {
	mu    sync.Mutex // guards until
	until map[string]time.Time
}

const (
	webSocketMemoryTime = 10 * time.Minute
	maxWebSocketMemory  = 1000 // at which all are forgotten
)

// remember adds an origin.
func (m *webSocketMemory) remember(hostPort string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil || len(m.until) >= maxWebSocketMemory {
		m.until = make(map[string]time.Time)
	}
	m.until[hostPort] = time.Now().Add(webSocketMemoryTime)
}

// refusesHTTP2 reports whether an origin was added not long ago.
func (m *webSocketMemory) refusesHTTP2(hostPort string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[hostPort]
	if ok && time.Now().After(until) {
		delete(m.until, hostPort)
		return false
	}
	return ok
}
