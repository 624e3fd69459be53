package server

import (
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/internal/netconn"
	"github.com/sluice-go/sluice/internal/syntax"
)

// withUpgrade returns a handler for HTTP/1.1 that lets clients switch to HTTP/2 (RFC 7540 §3.2),
// and calls h for all other requests.
func withUpgrade(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if settings, ok := upgradeSettings(r); !ok || !upgrade(w, r, settings) {
			h.ServeHTTP(w, r)
		}
	})
}

// upgradeSettings returns the settings of a request to switch to HTTP/2, and false for a request
// that is none or not a good one. One with a body is not: its body would have to be kept until it
// is complete, and a proxy that does not know of the upgrade could take what follows for another
// request.
func upgradeSettings(r *http.Request) (settings []byte, ok bool) {
	field := r.Header["Http2-Settings"]
	if r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.TLS != nil || r.Host == "" || len(field) != 1 ||
		r.ContentLength != 0 || len(r.TransferEncoding) != 0 ||
		!strings.HasPrefix(r.RequestURI, "/") && (r.RequestURI != "*" || r.Method != http.MethodOptions) ||
		!syntax.HasToken(r.Header["Upgrade"], "h2c") ||
		!syntax.HasToken(r.Header["Connection"], "upgrade") || !syntax.HasToken(r.Header["Connection"], "http2-settings") {
		return nil, false
	}
	settings, err := base64.RawURLEncoding.Strict().DecodeString(field[0])
	return settings, err == nil
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

// switchTimeout bounds how long the answer to an upgrade may wait for the client to read.
const switchTimeout = 10 * time.Second

// upgrade switches the connection of a request of HTTP/1.1 to HTTP/2. It returns false if it has
// done nothing.
func upgrade(w http.ResponseWriter, r *http.Request, settings []byte) bool {
	pc, ok := r.Context().Value(pendingConnKey{}).(*pendingConn)
	if !ok {
		return false
	}
	request := upgradeRequest(r)
	pc.track() // Server.http1 does so no longer, once it is hijacked
	received, err := pc.hijack(w)
	if err != nil {
		pc.untrack()
		return false
	}
	go func() { // ends when the connection is handed over, within switchTimeout; Shutdown waits for it
		_ = pc.nc.SetWriteDeadline(time.Now().Add(switchTimeout)) // where nc refuses or ignores that, the timer closes it
		stop := netconn.CloseAfter(pc.nc, switchTimeout)
		_, err := io.WriteString(pc.nc, switching)
		if timely := stop(); !timely || err != nil {
			if err == nil {
				err = os.ErrDeadlineExceeded
			}
			pc.close(err)
			return
		}
		_ = pc.nc.SetWriteDeadline(time.Time{})
		pc.serveHTTP2(connTask{received: received, upgrade: &conn.Upgrade{Settings: settings, Request: request}})
	}()
	return true
}

// hijack takes the connection away from Server.http1 and returns what was read from it.
func (pc *pendingConn) hijack(w http.ResponseWriter) ([]byte, error) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return nil, http.ErrNotSupported
	}
	pc.switched.Store(true) // before http1ConnState is called
	_, buf, err := h.Hijack()
	if err != nil {
		pc.switched.Store(false)
		return nil, err
	}
	// The request is gone from the buffer; the client's preface may be there already.
	received, _ := buf.Reader.Peek(buf.Reader.Buffered())
	received = slices.Clone(received)
	if pc.prefixConn != nil {
		received = append(received, pc.prefixConn.Prefix...)
	}
	return received, nil
}

// upgradeRequest makes of the request of HTTP/1.1 that of stream 1. Fields that describe the
// HTTP/1.1 connection are left out (RFC 7540 §8.1.2.2).
func upgradeRequest(r *http.Request) header.Message {
	m := header.Message{
		Method: r.Method, Scheme: "http", Authority: r.Host, Path: r.RequestURI, ContentLength: -1,
	}
	for key, values := range r.Header {
		name := header.ByKey(key)
		if name == nil || name.Meaning == header.Connection || name.Meaning == header.ConnectionSpecific ||
			name.Lower == "te" || name.Lower == "http2-settings" || syntax.HasToken(r.Header["Connection"], name.Lower) {
			continue
		}
		for _, v := range values {
			m.Fields = append(m.Fields, header.Field{Name: name.Lower, Value: v})
		}
	}
	slices.SortStableFunc(m.Fields, func(a, b header.Field) int { return strings.Compare(a.Name, b.Name) })
	return m
}
