package tunnel

import (
	"net/netip"
	"time"
)

// A Record is the line of one tunnel or request in the audit log.
type Record struct {
	Time     time.Time      `json:"time"` // of the request
	User     string         `json:"user,omitempty"`
	Client   netip.AddrPort `json:"client"`
	Proto    string         `json:"proto"` // "HTTP/1.1" or "HTTP/2.0"
	Kind     Kind           `json:"kind"`
	Target   string         `json:"target"`             // host and port as asked for
	Method   string         `json:"method,omitempty"`   // of a KindExchange
	Path     string         `json:"path,omitempty"`     // of a KindExchange, without its query
	Addr     string         `json:"addr,omitempty"`     // address and port that was dialled
	Upstream string         `json:"upstream,omitempty"` // the proxy behind this one, without its password
	Rule     string         `json:"rule,omitempty"`     // that decided
	Status   int            `json:"status"`             // of the answer
	Sent     int64          `json:"sent"`               // octets from the client to the target
	Received int64          `json:"received"`           // octets from the target to the client
	Duration time.Duration  `json:"duration"`           // in nanoseconds, from the request to the end
	End      string         `json:"end"`                // how it ended; docs/TUNNELS.md has the table
	Error    string         `json:"error,omitempty"`    // the cause, where it ended by one
}

// Ways in which a tunnel or a request ends, for Record.End.
const (
	EndClosed      = "closed"       // in good order, both directions of a tunnel
	EndRefused     = "refused"      // the proxy has answered by itself, as Status and Error say
	EndClientGone  = "client-gone"  // the client has left before there was an answer
	EndClientReset = "client-reset" // by RST or RST_STREAM of the client
	EndTargetReset = "target-reset" // by RST or RST_STREAM of the target
	EndClientLost  = "client-lost"  // the client's connection was lost, without a sign that it has ended
	EndTargetLost  = "target-lost"  // the target's connection was lost, without a sign that it has ended
	EndMalformed   = "malformed"    // the client's capsules are malformed (RFC 9297 §3.3)
	EndHandshake   = "handshake"    // of TLS with the client or the target, where the proxy ends it
	EndIdle        = "idle"         // Proxy.IdleTimeout
	EndAge         = "age"          // Proxy.MaxTunnelAge
	EndShutdown    = "shutdown"     // Proxy.Shutdown whose context is done, or Proxy.Close
)
