package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/syntax"
)

// serve ends the TLS of a tunnel:
//
//  1. A host that passes through is relayed at once.
//  2. The first octets decide: what is no TLS is relayed as it is.
//  3. The ClientHello is read, and the same handshake made with the origin. Where that fails by an
//     alert the client gets the same one; where it fails otherwise the client gets a page that says
//     why.
//  4. The handshake with the client gives the origin's choice back.
//  5. What is within is relayed as HTTP/2, HTTP/1.1 or octets.
func (i *Interceptor) serve(p *Proxy, client, origin net.Conn, t *Target, rec *Record) {
	if matchAny(i.PassThrough, t.Host) {
		p.relay(client, origin, rec)
		return
	}
	s := &session{i: i, p: p, client: client, origin: origin, target: t, record: rec}
	if client, origin := s.serve(); client != nil {
		p.relay(client, origin, rec)
	}
}

// session is a tunnel whose TLS is ended.
type session struct {
	i      *Interceptor
	p      *Proxy
	client net.Conn // of the tunnel, with TLS
	origin net.Conn
	target *Target
	record *Record // of the tunnel

	ctx      context.Context // ends with the tunnel
	activity activity
	cutBy    atomic.Pointer[string] // the limit that has ended the tunnel, as in Record.End

	host   string // of the certificates: the name that the client asks for, or the target
	verify bool   // the origin's certificate is verified

	clientRaw, originRaw *countedConn // client and origin, whose octets are counted
	clientTLS, originTLS *tls.Conn

	info *InterceptedConn
	set  []header.Field // to set in requests; names in lower case
}

// serve returns the connections of a tunnel that is to be relayed blindly, with the octets that
// were read in front. Otherwise they are nil, and the tunnel has ended.
func (s *session) serve() (client, origin net.Conn) {
	ctx, cancel := context.WithCancel(s.p.init().closed)
	defer cancel()
	s.ctx = ctx
	stopClosed := context.AfterFunc(s.p.init().closed, func() { s.cut(EndShutdown) })
	defer stopClosed()
	if age := s.p.MaxTunnelAge; age > 0 {
		defer s.p.afterFunc(age, func() { s.cut(EndAge) }).Stop()
	}
	defer s.activity.watchIdle(s.p, func() { s.cut(EndIdle) })()
	hello, client, origin, err := s.begin()
	if client != nil {
		return client, origin
	}
	if err == nil {
		err = s.run(hello)
	}
	s.end(err)
	return nil, nil
}

// begin finds out what the client begins with: a ClientHello to be answered, or octets to be
// relayed between the two connections that it then returns.
func (s *session) begin() (hello *tls.ClientHelloInfo, client, origin net.Conn, err error) {
	fromClient, fromOrigin, err := s.firstOctets(s.i.handshakeTimeout())
	if err != nil {
		return nil, nil, nil, err
	}
	if len(fromOrigin) > 0 || len(fromClient) == 0 || fromClient[0] != tlsHandshake {
		return nil, withFirst(s.client, fromClient), withFirst(s.origin, fromOrigin), nil
	}
	hello, octets, alert, err := readHello(s.client, fromClient, s.i.handshakeTimeout())
	client = withFirst(s.client, octets)
	if err == nil && s.target.Addr.IsValid() && matchAny(s.i.PassThrough, normalHost(hello.ServerName)) {
		return nil, client, s.origin, nil
	}
	s.clientRaw = &countedConn{Conn: client, a: &s.activity, read: &s.activity.sent}
	s.originRaw = &countedConn{Conn: s.origin, a: &s.activity, read: &s.activity.received}
	if err != nil {
		s.writeAlert(alert)
		return nil, nil, nil, &handshakeError{err}
	}
	return hello, nil, nil, nil
}

// cut ends the tunnel at once.
func (s *session) cut(end string) {
	s.cutBy.CompareAndSwap(nil, &end)
	s.closeBoth()
}

// closeBoth ends both connections.
func (s *session) closeBoth() {
	abort(s.client, frame.Cancel)
	abort(s.origin, frame.Cancel)
}

// run serves the tunnel. The error is why it did not end in good order.
func (s *session) run(hello *tls.ClientHelloInfo) error {
	s.host = s.target.Host
	if name := normalHost(hello.ServerName); name != "" {
		s.host = name
	}
	if net.ParseIP(s.host) == nil && !validServerName(s.host) {
		s.sendAlert(alertUnrecognizedName)
		return &handshakeError{errors.New("no certificate can be made for the name that it asks for")}
	}
	if refusal := s.checkName(); refusal != nil {
		return s.refuse(hello, refusal)
	}
	s.verify = !matchAny(s.i.Insecure, s.host)
	err := s.handshakeOrigin(hello)
	var alert *alertError
	if errors.As(err, &alert) {
		s.sendAlert(alert.code)
		return err
	}
	if err != nil {
		return s.refuse(hello, s.tlsRefusal(err))
	}
	if err := s.findFields(); err != nil {
		return s.refuse(hello, &Refusal{
			Status: http.StatusBadGateway, Type: typeInternal, Err: err,
			Details: "the proxy has not found the fields that it is to set for " + s.host,
		})
	}
	origin := s.originTLS.ConnectionState()
	if err := s.handshakeClient(origin.NegotiatedProtocol, origin.Version); err != nil {
		return err
	}
	s.describe(origin)
	switch origin.NegotiatedProtocol {
	case "h2":
		err = s.relayHTTP2()
	case "http/1.1", "http/1.0", "":
		err = s.relayHTTP1()
	default:
		err = s.relayOctets()
	}
	if t := s.i.Tracer; t != nil {
		t.TraceEnd(s.info, err)
	}
	return err
}

// checkName has the policy decide about a name in TLS that is not the one of CONNECT.
func (s *session) checkName() *Refusal {
	if s.host == s.target.Host || s.target.Addr.IsValid() {
		return nil
	}
	t := *s.target
	t.Host = s.host
	d := s.p.policy().CheckTarget(s.ctx, &t)
	if d.Allow {
		return nil
	}
	return &Refusal{
		Status: http.StatusForbidden, Type: typeDenied, Rule: d.Rule,
		Details: "the policy does not allow " + t.hostPort() + ", the name in TLS",
	}
}

// findFields asks for the fields to set in requests. A connection that is not verified has none.
func (s *session) findFields() error {
	if s.i.SetFields == nil || !s.verify {
		return nil
	}
	h, err := s.i.SetFields(s.ctx, s.target, s.host)
	if err != nil {
		return err
	}
	for name, values := range h {
		name = strings.ToLower(name)
		for _, v := range values {
			if err := checkSetField(name, v); err != nil {
				return err
			}
			s.set = append(s.set, header.Field{Name: name, Value: v, Sensitive: true})
		}
	}
	sort.SliceStable(s.set, func(a, b int) bool { return s.set[a].Name < s.set[b].Name })
	return nil
}

// setsField reports whether a field, whose name is in lower case, is one to set.
func (s *session) setsField(name string) bool {
	for i := range s.set {
		if s.set[i].Name == name {
			return true
		}
	}
	return false
}

// describe tells the tracer what the tunnel is.
func (s *session) describe(origin tls.ConnectionState) {
	s.info = &InterceptedConn{
		ID: s.i.lastID.Add(1), Target: s.target, Host: s.host, Protocol: origin.NegotiatedProtocol,
		Verified: s.verify, Client: s.clientTLS.ConnectionState(), Origin: origin,
		Local:  [2]net.Addr{s.client.LocalAddr(), s.origin.LocalAddr()},
		Remote: [2]net.Addr{s.client.RemoteAddr(), s.origin.RemoteAddr()},
	}
	for i, f := range s.set {
		if i == 0 || s.set[i-1].Name != f.Name {
			s.info.SetFields = append(s.info.SetFields, f.Name)
		}
	}
	if t := s.i.Tracer; t != nil {
		t.TraceConn(s.info)
	}
}

// traced returns c, of a leg, as the tracer sees it.
func (s *session) traced(c net.Conn, leg Leg) net.Conn {
	if s.i.Tracer == nil {
		return c
	}
	return &tracedConn{Conn: c, t: s.i.Tracer, c: s.info, leg: leg}
}

// misdirected reports whether a request is for another host than the connection: the policy has
// allowed that one, its certificate was verified, and fields are set for it.
func (s *session) misdirected(authority string) bool {
	host, _ := syntax.SplitPort(authority)
	return authority != "" && normalHost(host) != s.host && normalHost(host) != s.target.Host
}

// mayHave reports whether a request for an authority may have the fields that are set.
func (s *session) mayHave(authority string) bool {
	host, _ := syntax.SplitPort(authority)
	return len(s.set) > 0 && normalHost(host) == s.host
}

// end closes both connections and completes the record of the tunnel.
func (s *session) end(err error) {
	_ = s.client.Close()
	_ = s.origin.Close()
	r := s.record
	r.Sent, r.Received = s.activity.sent.Load(), s.activity.received.Load()
	s.setEnd(r, err)
}

// setEnd says in a record how the tunnel, or an exchange, has ended.
func (s *session) setEnd(r *Record, err error) {
	var (
		refusal   *Refusal
		alert     *alertError
		handshake *handshakeError
		side      *sideError
	)
	r.End = EndClosed
	switch {
	case s.cutBy.Load() != nil:
		r.End = *s.cutBy.Load()
		return
	case err == nil:
		return
	case errors.As(err, &refusal):
		r.End, r.Status = EndRefused, refusal.Status
	case errors.As(err, &alert), errors.As(err, &handshake), errors.Is(err, errNoHello):
		r.End = EndHandshake
	case errors.As(err, &side):
		r.End = endOf(side.side, side.err)
	default:
		r.End = EndTargetLost
	}
	r.Error = err.Error()
}

// failedSide returns err as that of a side, nil for nil.
func failedSide(side int, err error) error {
	var known *sideError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &sideError{side, err}
}
