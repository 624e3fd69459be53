package client

import (
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
)

// AltSvc is what a server says about where else an origin is served (RFC 7838). The Transport does
// not act on it.
type AltSvc struct {
	// Origin is the origin, "https://host", with a port that is not the default.
	Origin string
	// Value is that of an Alt-Svc field: `h3=":443"; ma=86400`, or "clear".
	Value string
	// Frame is true for an ALTSVC frame (RFC 7838 §4), false for a response's header field (§3).
	Frame bool
	// Conn is the connection that the frame or field came on.
	Conn *ClientConn
}

// altSvcFrame takes an ALTSVC frame. An origin for which the server has shown no certificate is
// ignored (RFC 7838 §4).
func (cc *ClientConn) altSvcFrame(_ *conn.Client, a conn.AltSvc) {
	// origin returns the origin of the request's URL.
	origin := a.Origin
	if origin == "" {
		x, ok := a.Owner.(*exchange)
		if !ok {
			return // the request has ended
		}
		origin = x.origin()
	} else if _, ok := cc.authoritativeKey(origin); !ok {
		return
	}
	cc.t.AltSvcHandler(AltSvc{Origin: origin, Value: a.Value, Frame: true, Conn: cc})
}

// altSvcField takes the Alt-Svc fields of a response.
func (x *exchange) altSvcField(fields []header.Field) {
	for i := range fields {
		if fields[i].Name == "alt-svc" {
			x.callAltSvcHandler(AltSvc{Origin: x.origin(), Value: fields[i].Value, Conn: x.cc})
		}
	}
}

func (x *exchange) origin() string {
	host, err := requestHost(x.req)
	if err != nil {
		return "" // cannot happen: the request was sent
	}
	return x.req.URL.Scheme + "://" + host
}

// callAltSvcHandler calls the handler, and ends the request if that does not return.
func (x *exchange) callAltSvcHandler(a AltSvc) {
	callHook(func() { x.cc.t.AltSvcHandler(a) }, x.abandon)
}
