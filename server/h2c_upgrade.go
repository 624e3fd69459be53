package server

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/internal/httpfield"
	"github.com/sluice-go/sluice/internal/netconn"
)

// upgradable is the handler of HTTP/1.1 that lets clients switch to HTTP/2 (RFC 7540 §3.2).
func upgradable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if settings, ok := upgradeSettings(r); !ok || !upgrade(w, r, settings) {
			h.ServeHTTP(w, r)
		}
	})
}

// upgradeSettings tells whether a request is a good request to switch to HTTP/2, and what settings
// it brings. One with a body is not: its body would have to be kept until it is complete, and a
// proxy that does not know of the upgrade could take what follows for another request.
func upgradeSettings(r *http.Request) (settings []byte, ok bool) {
	field := r.Header["Http2-Settings"]
	if r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.TLS != nil || r.Host == "" || len(field) != 1 ||
		r.ContentLength != 0 || len(r.TransferEncoding) != 0 ||
		!strings.HasPrefix(r.RequestURI, "/") && (r.RequestURI != "*" || r.Method != http.MethodOptions) ||
		!hasToken(r.Header["Upgrade"], "h2c") ||
		!hasToken(r.Header["Connection"], "upgrade") || !hasToken(r.Header["Connection"], "http2-settings") {
		return nil, false
	}
	settings, err := base64.RawURLEncoding.Strict().DecodeString(field[0])
	return settings, err == nil
}

// hasToken looks for a token in a comma-separated list.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"

// switchTimeout bounds how long the answer to an upgrade may wait for the client to read.
const switchTimeout = 10 * time.Second

// upgrade switches the connection of a request of HTTP/1.1. It is false if nothing was done.
func upgrade(w http.ResponseWriter, r *http.Request, settings []byte) bool {
	a, ok := r.Context().Value(arrivalKey{}).(*arrival)
	if !ok {
		return false
	}
	request := upgradeRequest(r)
	a.arriving() // http.Server is about to lose sight of it
	received, err := a.hijack(w)
	if err != nil {
		a.arrived()
		return false
	}
	go func() { // ends with the connection; Shutdown waits for it
		_ = a.nc.SetWriteDeadline(time.Now().Add(switchTimeout)) // as in handshake
		stop := netconn.CloseAfter(a.nc, switchTimeout)
		_, err := io.WriteString(a.nc, switching)
		if timely := stop(); !timely || err != nil {
			if err == nil {
				err = os.ErrDeadlineExceeded
			}
			a.ended(err)
			return
		}
		_ = a.nc.SetWriteDeadline(time.Time{})
		a.serveHTTP2(connTask{received: received, upgrade: &conn.Upgrade{Settings: settings, Request: request}})
	}()
	return true
}

// hijack takes the connection away from http.Server and returns what was read from it.
func (a *arrival) hijack(w http.ResponseWriter) ([]byte, error) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return nil, http.ErrNotSupported
	}
	a.switched.Store(true) // before ConnState hears of it
	_, buf, err := h.Hijack()
	if err != nil {
		a.switched.Store(false)
		return nil, err
	}
	// The request is gone from the buffer; the client's preface may be there already.
	received, _ := buf.Reader.Peek(buf.Reader.Buffered())
	received = slices.Clone(received)
	if a.prefix != nil {
		received = append(received, a.prefix.Prefix...)
	}
	return received, nil
}

// upgradeRequest turns the request into what stream 1 begins with. Fields that describe the
// HTTP/1.1 connection are left out (RFC 7540 §8.1.2.2).
func upgradeRequest(r *http.Request) core.Message {
	m := core.Message{
		Method: r.Method, Scheme: "http", Authority: r.Host, Path: r.RequestURI, ContentLength: -1,
	}
	for key, values := range r.Header {
		name := httpfield.ByKey(key)
		if name == nil || name.Meaning == httpfield.Connection || name.Meaning == httpfield.ConnectionSpecific ||
			name.Lower == "te" || name.Lower == "http2-settings" || hasToken(r.Header["Connection"], name.Lower) {
			continue
		}
		for _, v := range values {
			m.Fields = append(m.Fields, core.Field{Name: name.Lower, Value: v})
		}
	}
	slices.SortStableFunc(m.Fields, func(a, b core.Field) int { return strings.Compare(a.Name, b.Name) })
	return m
}
