package capture

import (
	"encoding/base64"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
)

// Limits of tunnels.
const (
	maxDepth       = 4         // tunnels within tunnels
	maxNestedOpen  = 1024      // connections in tunnels that are open at once
	maxAsked       = 1024      // CONNECT requests of a connection that are not answered yet
	maxTunnelWaits = 256 << 10 // octets of the client that wait for the answer to CONNECT
)

// nest begins the connection in a tunnel of s, to a target such as "example.com:443". It is nil
// where there are too many.
func (s *session) nest(stream uint32, target string, t time.Time) *session {
	if s.a.twins == nil || s.depth >= maxDepth || s.a.nested >= maxNestedOpen {
		return nil
	}
	s.a.nested++
	c := s.a.open(s.info.Client, s.info.Server, t)
	c.info.Parent, c.info.ParentStream = s.info.ID, stream
	c.depth, c.target = s.depth+1, target
	s.a.twins.expect(target)
	return c
}

// newText returns the stage for HTTP/1.1.
func newText(s *session) wire.Sink {
	h := newHTTP1(s)
	h.onSwitch = func(sw http1Switch) wire.Sink {
		if sw.Upgrade != "h2c" {
			return s.tunnel(sw)
		}
		c := s.laterUpgrade(sw)
		h.silent = c != nil
		return c
	}
	return &text{h}
}

// newUpgrade returns the stage for a connection that begins with an Upgrade to h2c
// (RFC 7540 §3.2).
func newUpgrade(s *session) wire.Sink {
	h := newHTTP1(s)
	h.onSwitch = func(sw http1Switch) wire.Sink {
		h.silent = true // the request is answered on stream 1
		s.upgrade(sw.Request, upgradeSettings(sw.Request))
		return newHTTP2(s)
	}
	return &text{h}
}

// text is an http1 that emits a Gap for octets that are missing.
type text struct{ *http1 }

// Lost implements wire.Sink.
func (g *text) Lost(d wire.Dir, t time.Time, n int64, why string) {
	if !g.handsOn(d) {
		newGap(n, why).emit(g.s, Dir(d), t)
	}
	g.http1.Lost(d, t, n, why)
}

// tunnel returns what takes the octets behind a request that has changed the protocol.
func (s *session) tunnel(sw http1Switch) wire.Sink {
	if sw.Connect == "" {
		return nil
	}
	c := s.nest(sw.Request.Stream, sw.Connect, sw.Time)
	if c == nil {
		return nil
	}
	return c
}

// laterUpgrade begins a connection of HTTP/2 that is what is left of one of HTTP/1.1, which has
// carried other requests before.
func (s *session) laterUpgrade(sw http1Switch) wire.Sink {
	c := s.nest(sw.Request.Stream, "", sw.Time)
	if c == nil {
		return nil
	}
	c.found(HTTP2, "upgrade")
	c.upgrade(sw.Request, upgradeSettings(sw.Request))
	c.setStage(false, newHTTP2(c))
	return c
}

// upgrade begins stream 1 of a connection of HTTP/2 with the request, and the settings in it.
func (s *session) upgrade(r *Request, settings frame.Settings) {
	s.sides[Client].settings(settings)
	s.sides[Client].acknowledged(s.sides[Server].hpack) // 101 does (RFC 7540 §3.2.1)
	for _, o := range s.observers {
		if o, ok := o.(upgradeObserver); ok {
			o.upgrade(r)
		}
		if o, ok := o.(upgradeSettingsObserver); ok {
			o.upgradeSettings(settings)
		}
	}
}

// upgradeSettings returns the settings in the HTTP2-Settings field of a request.
func upgradeSettings(r *Request) frame.Settings {
	for i := range r.Fields[Client] {
		f := &r.Fields[Client][i]
		if !strings.EqualFold(f.Name, "http2-settings") {
			continue
		}
		p, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(f.Value, "="))
		if err != nil {
			break
		}
		return parseSettings(p)
	}
	return frame.NewSettings()
}

// parseSettings returns the settings in the payload of SETTINGS; none where they are wrong.
func parseSettings(payload []byte) frame.Settings {
	h := frame.Header{Type: frame.TypeSettings, Length: uint32(len(payload))}
	if s, err := frame.ParseSettings(h, payload); err == nil {
		return s
	}
	return frame.NewSettings()
}

// tunnels is the observer that follows CONNECT (RFC 9113 §8.5). Extended CONNECT (RFC 8441) opens
// no tunnel.
type tunnels struct {
	s    *session
	open map[uint32]*connectTunnel
}

// A connectTunnel is a stream with a CONNECT request.
type connectTunnel struct {
	target string
	c      *session // nil until it is answered
	wait   waiting  // what has come before the answer
	ended  [2]bool
}

func newTunnels(s *session) *tunnels { return &tunnels{s: s, open: make(map[uint32]*connectTunnel)} }

func (o *tunnels) frame(f *Frame) {
	id := f.Header.StreamID
	if len(f.Fields) > 0 && !f.Trailer && f.Header.Type != frame.TypePushPromise {
		o.fields(f)
	}
	u := o.open[id]
	if u == nil {
		return
	}
	switch {
	case f.Header.Type == frame.TypeRSTStream:
		o.end1(u, f.Dir, f.Time, wire.Reset)
		o.end1(u, f.Dir.Other(), f.Time, wire.Reset)
	case !f.Header.Flags.Has(frame.FlagEndStream):
	case f.Header.Type == frame.TypeData, f.Header.Type == frame.TypeHeaders:
		o.end1(u, f.Dir, f.Time, wire.Closed)
	}
	if u.ended == [2]bool{true, true} {
		u.wait.reset()
		delete(o.open, id)
	}
}

// fields takes a header section.
func (o *tunnels) fields(f *Frame) {
	id := f.Header.StreamID
	if f.Dir == Client {
		target, ok := connectTarget(f.Fields)
		if ok && o.open[id] == nil && len(o.open) < maxAsked {
			o.open[id] = &connectTunnel{target: target, wait: waiting{budget: &o.s.a.held, most: maxTunnelWaits}}
		}
		return
	}
	u := o.open[id]
	if u == nil || u.c != nil {
		return
	}
	switch status := fieldValue(f.Fields, ":status"); {
	case len(status) == 3 && status[0] == '1':
	case len(status) == 3 && status[0] == '2':
		if u.c = o.s.nest(id, u.target, f.Time); u.c != nil {
			u.wait.replay(u.c)
			return
		}
		fallthrough
	default:
		u.wait.reset()
		delete(o.open, id)
	}
}

// connectTarget returns the target of a CONNECT request.
func connectTarget(fields []Field) (string, bool) {
	connect := false
	target := ""
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case ":method":
			connect = f.Value == "CONNECT"
		case ":authority":
			target = f.Value
		case ":protocol":
			return "", false
		}
	}
	return target, connect
}

// end1 ends a direction of a tunnel.
func (o *tunnels) end1(u *connectTunnel, d Dir, t time.Time, how wire.How) {
	switch {
	case u.ended[d]:
		return
	case u.c != nil:
		u.c.End(wire.Dir(d), t, how)
	default:
		u.wait.End(wire.Dir(d), t, how)
	}
	u.ended[d] = true
}

// content implements contentObserver.
func (o *tunnels) content(d Dir, t time.Time, stream uint32, p []byte, lost int64) {
	if len(o.open) == 0 {
		return
	}
	u := o.open[stream]
	if u == nil || u.ended[d] {
		return
	}
	var to wire.Sink = &u.wait
	if u.c != nil {
		to = u.c
	}
	if lost != 0 {
		to.Lost(wire.Dir(d), t, lost, "lost")
	}
	if len(p) > 0 {
		to.Octets(wire.Dir(d), t, p)
	}
}

// lost implements observer: what is missing within DATA came to content.
func (o *tunnels) lost(Dir, time.Time, int64) {}

// framesLost says that whole frames of a direction may be missing, of any stream.
func (o *tunnels) framesLost(d Dir, t time.Time) {
	for _, id := range slices.Sorted(maps.Keys(o.open)) {
		if u := o.open[id]; !u.ended[d] {
			o.content(d, t, id, nil, -1)
		}
	}
}

// end ends all tunnels.
func (o *tunnels) end(t time.Time, how wire.How) {
	for _, id := range slices.Sorted(maps.Keys(o.open)) {
		u := o.open[id]
		o.end1(u, Client, t, how)
		o.end1(u, Server, t, how)
		u.wait.reset()
	}
	clear(o.open)
}

// port returns the port of a target such as "example.com:443".
func port(target string) string {
	_, p, err := net.SplitHostPort(target)
	if err != nil {
		return ""
	}
	return p
}
