package capture

import (
	"time"

	"github.com/sluice-go/sluice/conn"
	"github.com/sluice-go/sluice/tunnel"
)

// Intercept returns the Live as the Tracer of a tunnel.Interceptor. The two legs of a tunnel are
// two connections, of which each is the other's Twin. The values of fields that the Interceptor
// sets are secrets, on the leg to the origin.
func (l *Live) Intercept() tunnel.InterceptTracer { return (*interceptTracer)(l) }

// interceptTracer is a Live as a tunnel.InterceptTracer.
type interceptTracer Live

// liveTunnel are the legs of a tunnel, by tunnel.Leg.
type liveTunnel [2]liveConn

// TraceConn implements tunnel.InterceptTracer.
func (t *interceptTracer) TraceConn(c *tunnel.InterceptedConn) {
	l, now, lt := (*Live)(t), time.Now(), &liveTunnel{}
	lt[tunnel.ClientLeg].received, lt[tunnel.OriginLeg].received = Client, Server
	for i := range lt { // Close and TraceEnd wait for what is opened here
		lt[i].mu.Lock()
		defer lt[i].mu.Unlock()
	}
	l.conns.Store(c, lt)
	for i := range lt {
		if lt[i].s = l.open(now); lt[i].s != nil {
			describeLeg(&lt[i].s.info, c, tunnel.Leg(i))
		}
	}
	client, origin := lt[tunnel.ClientLeg].s, lt[tunnel.OriginLeg].s
	if client != nil && origin != nil {
		client.info.Twin, origin.info.Twin = origin.info.ID, client.info.ID
	}
	if origin != nil {
		origin.secrets = c.SetFields
	}
	for i := range lt {
		switch {
		case lt[i].s == nil:
		case c.Protocol == "h2":
			lt[i].begin("alpn")
		default:
			lt[i].octets = true
		}
	}
}

// TraceFrame implements tunnel.InterceptTracer.
func (t *interceptTracer) TraceFrame(c *tunnel.InterceptedConn, leg tunnel.Leg, f conn.FrameTrace) {
	if lc := (*Live)(t).leg(c, leg); lc != nil {
		lc.frame(f)
	}
}

// TraceOctets implements tunnel.InterceptTracer.
func (t *interceptTracer) TraceOctets(c *tunnel.InterceptedConn, leg tunnel.Leg, d conn.Direction, p []byte) {
	if lc := (*Live)(t).leg(c, leg); lc != nil {
		lc.takeOctets(d, time.Now(), p)
	}
}

// TraceEnd implements tunnel.InterceptTracer.
func (t *interceptTracer) TraceEnd(c *tunnel.InterceptedConn, err error) {
	l := (*Live)(t)
	if v, ok := l.conns.LoadAndDelete(c); ok {
		lt := v.(*liveTunnel)
		for i := range lt {
			l.end(&lt[i], howEnded(err))
		}
	}
}

// leg returns a leg of a tunnel; nil is unknown.
func (l *Live) leg(c *tunnel.InterceptedConn, leg tunnel.Leg) *liveConn {
	v, ok := l.conns.Load(c)
	if !ok {
		return nil
	}
	return &v.(*liveTunnel)[leg]
}

// describeLeg says what is known of a leg.
func describeLeg(info *Connection, c *tunnel.InterceptedConn, leg tunnel.Leg) {
	info.Leg = leg.String()
	local, remote := addrPort(c.Local[leg]), addrPort(c.Remote[leg])
	if leg == tunnel.ClientLeg {
		info.Client, info.Server, info.TLS = remote, local, describeTLS(c.Client)
	} else {
		info.Client, info.Server, info.TLS = local, remote, describeTLS(c.Origin)
	}
}
