package server

import "net/http"

// EarlyData says what becomes of a request that has an Early-Data field (RFC 8470 §5.1): an
// intermediary, such as a terminator of TLS, has got it in the early data of a handshake, so that
// somebody may have sent it before and may send it again.
//
// crypto/tls takes no early data on TCP: what a client sends so, it ignores, and the client sends
// it again after the handshake. So the field is all that tells of early data, and a
// tls.ConnectionState says nothing of it.
type EarlyData uint8

const (
	// EarlyDataSafe lets requests with safe methods through (RFC 9110 §9.2.1), and answers others
	// with 425 (Too Early): the intermediary's client sends them again after its handshake.
	EarlyDataSafe EarlyData = iota

	// EarlyDataAllow leaves it to handlers, which find the field in Request.Header and may answer
	// with 425 themselves.
	EarlyDataAllow

	// EarlyDataRefuse answers all of them with 425.
	EarlyDataRefuse
)

// refuses tells whether a request with an Early-Data field is to be answered with 425. Whatever the
// field's value, and however many there are, it counts as one with the value 1 (RFC 8470 §5.1).
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

// isSafe tells of the methods that RFC 9110 §9.2.1 calls safe.
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// tooEarly is the answer (RFC 8470 §5.2).
var tooEarly = answer(http.StatusTooEarly)

// guard is h for HTTP/1.1, behind e.
func (e EarlyData) guard(h http.Handler) http.Handler {
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
