package server

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// WebSocket returns a handler that calls h, and gives it WebSockets over HTTP/2 (RFC 8441) in the
// form that they have over HTTP/1.1, so that handlers written for that work unchanged with any
// library: the request is GET with "Connection: Upgrade", "Upgrade: websocket" and a
// Sec-WebSocket-Key, its Proto is HTTP/1.1, and the ResponseWriter is an http.Hijacker. Every other
// request goes to h as it is, those of HTTP/1.1 among them, so that one URL serves both. A nil h is
// http.DefaultServeMux.
//
//	srv := &server.Server{Addr: ":8443", Handler: server.WebSocket(mux)}
//
// A Server, or an http.Server with Configure, whose Handler is the result offers extended CONNECT
// to clients; where it is within another handler, Config.EnableConnectProtocol does. A URL whose
// handler is not within WebSocket cannot be reached by a WebSocket of a browser then, which does
// not fall back to HTTP/1.1: put WebSocket around all.
//
// The answer 101 of h, by WriteHeader before Hijack or written to the connection after it, is sent
// as 200 without the fields that HTTP/2 does not have (Connection, Upgrade, Sec-WebSocket-Accept).
// Another status is sent as it is, but for 2xx, which would mean that the WebSocket is open: in
// place of that the client gets 501 (Not Implemented), and what h writes is dropped.
//
// The connection that Hijack returns is the stream. It has working deadlines, CloseWrite
// (END_STREAM) and CloseRead, and is h's until Close, also when h has returned. As with HTTP/1.1
// the request's context ends when h returns; before that it ends as that of AcceptConnect does.
// Server.Shutdown waits for the connection to be closed: see Server.RegisterOnShutdown.
func WebSocket(h http.Handler) http.Handler {
	if h == nil {
		h = http.DefaultServeMux
	}
	return &webSocketHandler{h}
}

// webSocketHandler is what WebSocket returns.
type webSocketHandler struct{ handler http.Handler }

// takesWebSocket reports whether h is what WebSocket has returned.
func takesWebSocket(h http.Handler) bool {
	_, ok := h.(*webSocketHandler)
	return ok
}

func (h *webSocketHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protocol := r.Header[":protocol"]
	if r.Method != http.MethodConnect || len(protocol) == 0 {
		h.handler.ServeHTTP(w, r)
		return
	}
	resp, ok := unwrap(w).(*response)
	switch {
	case !ok:
		http.Error(w, fmt.Sprintf("server.WebSocket: found a %T, which is not the ResponseWriter of HTTP/2 of package "+
			"server; a wrapper of that needs a method Unwrap() http.ResponseWriter", unwrap(w)), http.StatusNotImplemented)
	case !strings.EqualFold(protocol[0], "websocket"):
		if resp.x.sc.webSocketAlone { // an unknown protocol is answered with 501 (RFC 9220 §3)
			http.Error(w, "only :protocol websocket is served here", http.StatusNotImplemented)
			return
		}
		h.handler.ServeHTTP(w, r)
	default:
		ww := &webSocketWriter{w: w, resp: resp, ctx: r.Context()}
		h.handler.ServeHTTP(ww, webSocketRequest(r))
		ww.finish()
	}
}

// webSocketRequest returns the request of extended CONNECT in the form that it has over HTTP/1.1
// (RFC 6455 §4.1). RFC 8441 has no key: the client does not see what is made of this one.
func webSocketRequest(r *http.Request) *http.Request {
	out := r.WithContext(r.Context()) // a copy
	out.Method = http.MethodGet
	out.Proto, out.ProtoMajor, out.ProtoMinor = "HTTP/1.1", 1, 1
	out.Body, out.ContentLength = http.NoBody, 0
	out.Header = make(http.Header, len(r.Header)+3)
	maps.Copy(out.Header, r.Header)
	delete(out.Header, ":protocol")
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	out.Header["Connection"] = []string{"Upgrade"}
	out.Header["Upgrade"] = []string{"websocket"}
	out.Header["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key[:])}
	return out
}
