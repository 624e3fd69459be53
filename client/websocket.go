package client

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/sluice-go/sluice/internal/syntax"
)

// asksForWebSocket reports whether a request is for a WebSocket by Upgrade, which net/http sends
// with HTTP/1.1 only.
func asksForWebSocket(req *http.Request) bool {
	upgrade := req.Header["Upgrade"]
	return len(upgrade) > 0 && strings.EqualFold(upgrade[0], "websocket") &&
		syntax.HasToken(req.Header["Connection"], "upgrade")
}

// wantsWebSocketHTTP2 reports whether a request is for a WebSocket that is to go over HTTP/2.
func (t *Transport) wantsWebSocketHTTP2(req *http.Request) bool {
	return t.WebSocketHTTP2 && asksForWebSocket(req) && (req.Method == "" || req.Method == http.MethodGet) &&
		(req.Body == nil || req.Body == http.NoBody)
}

// webSocketHTTP2 sends a request for a WebSocket with extended CONNECT (RFC 8441) where the server
// offers that, and with HTTP/1.1 where it does not and that may be spoken.
func (t *Transport) webSocketHTTP2(req *http.Request, target *Target) (*http.Response, error) {
	http1 := target.Scheme == "https" && t.protocols().HTTP1()
	if http1 {
		switch known, required := t.h1.preference(target.Key); {
		case required:
			return t.onlyHTTP1(req, nil, target)
		case known:
			if resp, err := t.sendHTTP1(req, nil, target, false); !wrongProtocol(err) {
				return resp, err
			}
			t.h1.forget(target.Key)
		}
	}
	tunnel, resp, err := t.Connect(webSocketConnect(req))
	switch {
	case err == nil && tunnel == nil:
		resp.Request = req
		return resp, nil
	case err == nil:
		switchProtocols(resp, req)
		resp.Body = tunnel
		return resp, nil
	case http1 && errors.Is(err, ErrNoConnectProtocol):
		return t.onlyHTTP1(req, nil, target)
	case t.wantsHTTP1(err, target):
		return t.retryHTTP1(req, nil, target, err)
	}
	return nil, err
}

// webSocketConnect returns the request of RFC 8441 §5 for one of RFC 6455 §4.1.
func webSocketConnect(req *http.Request) *http.Request {
	out := req.WithContext(req.Context()) // a copy
	out.Method = http.MethodConnect
	out.Header = make(http.Header, len(req.Header))
	for key, values := range req.Header {
		switch http.CanonicalHeaderKey(key) {
		case "Connection", "Upgrade", "Sec-Websocket-Key":
		default:
			out.Header[key] = values
		}
	}
	out.Header[":protocol"] = []string{"websocket"}
	return out
}

// switchProtocols makes of the response that accepts a WebSocket over HTTP/2 the one that req would
// have got over HTTP/1.1 (RFC 6455 §4.2.2).
func switchProtocols(resp *http.Response, req *http.Request) {
	resp.Status = "101 Switching Protocols"
	resp.StatusCode = http.StatusSwitchingProtocols
	resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "HTTP/1.1", 1, 1
	resp.Request, resp.ContentLength = req, 0
	resp.Header["Connection"] = []string{"Upgrade"}
	resp.Header["Upgrade"] = []string{"websocket"}
	delete(resp.Header, "Sec-Websocket-Accept")
	for key, values := range req.Header {
		if len(values) > 0 && http.CanonicalHeaderKey(key) == "Sec-Websocket-Key" {
			resp.Header["Sec-Websocket-Accept"] = []string{webSocketAccept(values[0])}
		}
	}
}

// webSocketAccept returns the Sec-WebSocket-Accept for a key (RFC 6455 §4.2.2).
func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(strings.TrimSpace(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
