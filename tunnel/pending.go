package tunnel

import "net/http"

// notImplemented is the Refusal of what this proxy does not do.
func notImplemented(what string) *Refusal {
	return &Refusal{
		Status: http.StatusNotImplemented, Type: typeRequestError, Details: what + " is not implemented",
	}
}

func (p *Proxy) serveWebSocket(w http.ResponseWriter, r *http.Request, _ *Target, rec *Record) {
	p.refuse(w, r, rec, notImplemented("WebSocket"))
}
