package client

import (
	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/conn/header"
)

// AltSvc is what a server says of where else an origin is served (RFC 7838). It is not acted on
// here.
type AltSvc struct {
	// Origin is the origin, "https://host", with a port that is not the default.
	Origin string
	// Value is that of an Alt-Svc field: `h3=":443"; ma=86400`, or "clear".
	Value string
	// Frame tells that it came in an ALTSVC frame (RFC 7838 §4), otherwise in a response's header
	// field (§3).
	Frame bool
	// Conn is the connection that it came on.
	Conn *ClientConn
}

// altSvcFrame takes what an ALTSVC frame says. An origin for which the server has shown no
// certificate is ignored (RFC 7838 §4).
func (cc *ClientConn) altSvcFrame(_ *conn.Conn, a conn.AltSvc) {
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

// altSvcField takes what a response's header says.
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
		return "" // it was sent, so it is one
	}
	return x.req.URL.Scheme + "://" + host
}

// callAltSvcHandler calls the handler, and ends the request if that does not return.
func (x *exchange) callAltSvcHandler(a AltSvc) {
	returned := false
	defer func() {
		if !returned {
			x.abandon()
		}
	}()
	x.cc.t.AltSvcHandler(a)
	returned = true
}
