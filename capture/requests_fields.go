package capture

import (
	"strings"
	"time"
)

// head takes the header section of the request; end is when it was complete.
func (x *exchange) head(fields []Field) {
	x.asked = true
	for i := range fields {
		switch f := &fields[i]; f.Name {
		case ":method":
			x.Method = f.Value
		case ":scheme":
			x.Scheme = f.Value
		case ":authority":
			x.Authority = f.Value
		case ":path":
			x.Path = f.Value
		case ":protocol":
			x.Protocol = f.Value
		case "priority":
			if x.Priority == "" {
				x.Priority = f.Value
			}
		}
	}
	if x.Authority == "" {
		x.Authority = fieldValue(fields, "host")
	}
	x.findGRPC(Client, fields)
	x.Fields[Client] = x.keep(fields)
}

// response takes a header section of the server, 1xx too, and reports whether it is that of the
// final response.
func (x *exchange) response(status int, fields []Field, t time.Time) (final bool) {
	if 100 <= status && status < 200 && status != 101 {
		if len(x.Interim) < maxInterim {
			x.Interim = append(x.Interim, Interim{t, status, x.keep(fields)})
		}
		return false
	}
	x.final = true
	x.Status, x.Response = status, t
	x.ContentType = fieldValue(fields, "content-type")
	x.findGRPC(Server, fields)
	x.grpcStatus(fields) // of Trailers-Only
	x.Fields[Server] = x.keep(fields)
	return true
}

// trailers takes a trailer section.
func (x *exchange) trailers(d Dir, fields []Field) {
	if x.Trailers[d] != nil {
		return // what would be kept twice is not counted
	}
	if d == Server {
		x.grpcStatus(fields)
	}
	x.Trailers[d] = x.keep(fields)
}

// content takes octets of content, before which lost are missing.
func (x *exchange) content(d Dir, t time.Time, p []byte, lost int64) {
	if lost != 0 {
		x.Lossy = true
		x.grpc[d].lost(lost)
	}
	if x.losses[d] != x.list.losses[d] {
		x.losses[d] = x.list.losses[d]
		x.Lossy = true
		x.grpc[d].lost(-1)
	}
	if len(p) == 0 {
		return
	}
	x.Body[d] += int64(len(p))
	if d == Server {
		if x.FirstData.IsZero() {
			x.FirstData = t
		}
		x.chunk(t, int64(len(p)))
	}
	if x.GRPC != nil {
		x.grpcContent(d, p)
	}
}

// endSide notes that a side has sent all, and reports whether both have.
func (x *exchange) endSide(d Dir, t time.Time) bool {
	x.ended[d] = true
	if d == Client && x.RequestEnd.IsZero() {
		x.RequestEnd = t
	}
	return x.ended[Client] && x.ended[Server]
}

// A waiter is an observer, before requests, that knows what a stream has waited for.
type waiter interface{ waits(stream uint32) Wait }

// finished completes what can be said at the end only.
func (x *exchange) finished() {
	x.Complete = x.ended[Client] && x.ended[Server]
	x.Lossy = x.Lossy || x.losses != x.list.losses
	if x.priority.value != "" { // PRIORITY_UPDATE goes before the field (RFC 9218 §7)
		x.Priority = x.priority.value
	}
	x.Weight, x.DependsOn, x.Exclusive = x.priority.weight, x.priority.dependsOn, x.priority.exclusive
	for _, o := range x.list.s.observers {
		if l, ok := o.(waiter); ok {
			x.Wait = l.waits(x.Stream)
		}
	}
	if !x.began.IsZero() && !x.RequestEnd.IsZero() {
		x.Wait.Server = max(x.began.Sub(x.RequestEnd), 0)
	}
	for d := range x.grpc {
		if x.GRPC != nil {
			x.GRPC.Partial[d] = x.grpc[d].partial()
		}
	}
}

// beginsMessage reports whether fields may be those of a header section, which has pseudo-fields.
func beginsMessage(fields []Field) bool {
	for i := range fields {
		if f := &fields[i]; strings.HasPrefix(f.Name, ":") || f.State == UnknownField && f.Name == "" {
			return true
		}
	}
	return false
}

// fieldValue returns the value of the first field of that name; names compare without regard to
// case.
func fieldValue(fields []Field, name string) string {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			return fields[i].Value
		}
	}
	return ""
}
