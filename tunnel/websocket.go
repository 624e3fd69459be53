package tunnel

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/syntax"
)

// webSocket is a request for a WebSocket, of RFC 6455 or RFC 8441, on its way to an origin that
// may speak the other one.
type webSocket struct {
	*request
	secure bool
	host   string      // Host or :authority for the origin
	url    *url.URL    // path and query
	header http.Header // for the origin: end-to-end fields, without those of one version of HTTP
	key    string      // Sec-WebSocket-Key: the client's, or one for an origin with HTTP/1.1
}

// serveWebSocket relays a WebSocket between two connections of which each may be of HTTP/1.1 or
// HTTP/2.
func (x *request) serveWebSocket() {
	ws := &webSocket{request: x}
	err := ws.prepare()
	var origin net.Conn
	var resp *http.Response
	ctx, cancel := x.openContext()
	defer cancel(nil) // with it ends the body of a response that is no tunnel
	if err == nil {
		origin, resp, err = ws.open(ctx)
	}
	switch {
	case err != nil:
		x.p.refuse(x.w, x.r, x.rec, err)
	case origin == nil:
		ws.respond(ctx, cancel, resp)
	default:
		client, err := ws.accept(resp)
		if err != nil {
			abort(origin, frame.Cancel)
			return
		}
		x.carry(func() { x.p.relay(client, origin, x.rec) })
	}
}

// prepare makes what is sent to the origin.
func (ws *webSocket) prepare() error {
	r := ws.r
	if err := ws.checkLoop(); err != nil {
		return err
	}
	scheme, authority := ws.absolute()
	ws.secure, ws.host = scheme == "https" || scheme == "wss", authority
	ws.url = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	if ws.url.Path == "" {
		ws.url.Path = "/"
	}
	ws.header = r.Header.Clone()
	removeHopByHop(ws.header)
	for _, name := range []string{":protocol", "Sec-Websocket-Key", "Sec-Websocket-Accept", "Host"} {
		delete(ws.header, name)
	}
	if _, ok := ws.header["User-Agent"]; !ok {
		ws.header["User-Agent"] = nil // none is invented
	}
	ws.header.Add("Via", viaVersion(r)+" "+ws.p.state.via)
	if r.ProtoMajor >= 2 { // RFC 8441 has no key
		ws.key = newWebSocketKey()
		return nil
	}
	ws.key = strings.TrimSpace(r.Header.Get("Sec-Websocket-Key"))
	switch key, err := base64.StdEncoding.DecodeString(ws.key); {
	case err != nil || len(key) != 16 || len(r.Header["Sec-Websocket-Key"]) != 1:
		return badRequest("a request for a WebSocket has one Sec-WebSocket-Key of 16 octets (RFC 6455 §4.1)")
	case r.Method != http.MethodGet || r.ContentLength != 0:
		return badRequest("a request for a WebSocket is GET, without content (RFC 6455 §4.1)")
	}
	return nil
}

func newWebSocketKey() string {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	return base64.StdEncoding.EncodeToString(key[:])
}

// responseHeader is the part of the origin's response that is for the client.
func (ws *webSocket) responseHeader(resp *http.Response) http.Header {
	h := resp.Header.Clone()
	removeHopByHop(h)
	delete(h, "Sec-Websocket-Accept")
	version := "1.1"
	if resp.ProtoMajor >= 2 {
		version = "2"
	}
	h.Add("Via", version+" "+ws.p.state.via)
	return h
}

// respond sends the client the response of an origin that has not accepted.
func (ws *webSocket) respond(ctx context.Context, cancel context.CancelCauseFunc, resp *http.Response) {
	defer resp.Body.Close()
	ws.rec.Status, ws.rec.End = resp.StatusCode, EndClosed
	if resp.StatusCode < 300 && ws.r.ProtoMajor >= 2 { // it would open the WebSocket (RFC 8441 §5)
		ws.p.refuse(ws.w, ws.r, ws.rec, &Refusal{
			Status: http.StatusBadGateway, Type: typeProtocol,
			Details: "the origin has answered " + resp.Status + " without switching to WebSocket",
		})
		return
	}
	h := ws.w.Header()
	for name, values := range ws.responseHeader(resp) {
		h[name] = values
	}
	f := &forward{request: ws.request, idle: ws.p.idleTimeout()}
	if f.idle > 0 {
		f.timer = ws.p.afterFunc(f.idle, func() { cancel(errIdle) })
		defer f.timer.Stop()
	}
	defer writesEnd(ctx, ws.w)()
	ws.w.WriteHeader(resp.StatusCode)
	err := f.copyBody(resp)
	ws.rec.Received = f.received.Load()
	if err != nil {
		f.endBody(ctx, err)
		panic(http.ErrAbortHandler) // the response is not whole
	}
	ws.p.boundFlush(ws.w, ws.r)
}

// accept answers the client and returns its side of the tunnel.
func (ws *webSocket) accept(resp *http.Response) (net.Conn, error) {
	h := ws.responseHeader(resp)
	h.Add("Proxy-Status", ws.p.nextHop(ws.rec.Addr))
	if ws.r.ProtoMajor >= 2 {
		return ws.request.accept(h)
	}
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Accept", webSocketAccept(ws.key))
	client, err := acceptHTTP1(ws.w, "101 Switching Protocols", h)
	if err != nil {
		ws.rec.End, ws.rec.Error = EndClientGone, err.Error()
		return nil, err
	}
	ws.rec.Status = http.StatusSwitchingProtocols
	return client, nil
}

// open reaches the origin and asks it for the WebSocket. It returns the connection, or nil with a
// response that is another answer. The error is a *Refusal.
func (ws *webSocket) open(ctx context.Context) (net.Conn, *http.Response, error) {
	protos := []string{"h2", "http/1.1"}
	memory := &ws.p.state.webSocket
	if memory.refusesHTTP2(ws.target.hostPort()) {
		protos = protos[1:]
	}
	for {
		nc, err := ws.p.open(ctx, ws.target, ws.rec)
		if err != nil {
			return nil, nil, err
		}
		ask, cancel := context.WithTimeout(ctx, ws.p.dialTimeout())
		origin, resp, err := ws.ask(ask, nc, protos)
		if err == nil && origin == nil {
			context.AfterFunc(ctx, cancel) // the response is still to be read
			return nil, resp, nil
		}
		cancel()
		if errors.Is(err, errNoRFC8441) && len(protos) > 1 {
			memory.remember(ws.target.hostPort())
			protos = protos[1:]
			continue
		}
		if err != nil {
			abort(nc, frame.Cancel)
			return nil, nil, ws.explain(err)
		}
		return origin, resp, nil
	}
}

// deadlineOf has reads and writes of nc fail when ctx is done, until stop is called. It reports
// whether ctx was not done by then.
func deadlineOf(ctx context.Context, nc net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
}

// maxWebSocketResponse bounds the head of an origin's response, in octets.
const maxWebSocketResponse = 256 << 10

// askHTTP1 asks for the WebSocket with HTTP/1.1 (RFC 6455 §4.1).
func (ws *webSocket) askHTTP1(ctx context.Context, nc net.Conn) (net.Conn, *http.Response, error) {
	stop := deadlineOf(ctx, nc)
	req := &http.Request{Method: http.MethodGet, URL: ws.url, Host: ws.host, Header: ws.header.Clone()}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Key", ws.key)
	head := bufio.NewWriter(nc)
	err := req.Write(head)
	if err == nil {
		err = head.Flush()
	}
	if err != nil {
		return nil, nil, err
	}
	limited := &io.LimitedReader{R: nc, N: maxWebSocketResponse}
	r := bufio.NewReader(limited)
	resp, err := http.ReadResponse(r, req)
	for err == nil && resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(r, req) // an interim response came first
	}
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		limited.N = math.MaxInt64 // the bound is for the head
		resp.Body = &bodyOfConn{resp.Body, nc}
		return nil, resp, nil // deadlineOf holds for the body
	}
	if !syntax.HasToken(resp.Header["Upgrade"], "websocket") || !syntax.HasToken(resp.Header["Connection"], "upgrade") ||
		resp.Header.Get("Sec-Websocket-Accept") != webSocketAccept(ws.key) {
		return nil, nil, errBadSwitch
	}
	if !stop() {
		return nil, nil, ctx.Err()
	}
	_ = nc.SetDeadline(noDeadline) // fails on a dead connection only
	origin, err := unread(nc, r)
	return origin, resp, err
}

// bodyOfConn is the content of a response whose connection ends with it.
type bodyOfConn struct {
	io.ReadCloser
	nc net.Conn
}

// Close closes the connection, too.
func (b *bodyOfConn) Close() error { return errors.Join(b.ReadCloser.Close(), b.nc.Close()) }
