package server

import "net/http"

// EarlyData says what becomes of a request that has an Early-Data field (RFC 8470 §5.1): an
// intermediary, such as a terminator of TLS, has got it in the early data of a handshake, so that
// it may be a replay.
//
// The field is the only sign of early data, and a tls.ConnectionState has none: crypto/tls ignores
// early data on TCP, which the client sends again after the handshake.
type EarlyData uint8

const (
	// EarlyDataSafe lets requests with safe methods through (RFC 9110 §9.2.1), and answers others
	// with 425 (Too Early): the intermediary's client sends them again after its handshake.
	EarlyDataSafe EarlyData = iota

	// EarlyDataAllow has handlers decide, which find the field in Request.Header and may answer
	// with 425 themselves.
	EarlyDataAllow

	// EarlyDataRefuse answers all requests with the field with 425.
	EarlyDataRefuse
)

// refuses reports whether a request with an Early-Data field is to be answered with 425. Whatever
// the field's value, and however many there are, it counts as one with the value 1 (RFC 8470 §5.1).
func (e EarlyData) refuses(method string) bool {
	switch e {
	case EarlyDataAllow:
		return false
	case EarlyDataRefuse:
		return true
	default:
		return !isSafe(method)
	}
}

// isSafe reports whether a method is one of those that RFC 9110 §9.2.1 calls safe.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// tooEarly answers a request that is refused for its early data (RFC 8470 §5.2).
var tooEarly = answer(http.StatusTooEarly)

// refuseHTTP1 returns a handler for HTTP/1.1 that answers the requests which e refuses, and calls h
// for the others.
func (e EarlyData) refuseHTTP1(h http.Handler) http.Handler {
	if e == EarlyDataAllow {
		return h
	}
	if h == nil {
		h = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Early-Data"]) > 0 && e.refuses(r.Method) {
			tooEarly.ServeHTTP(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
