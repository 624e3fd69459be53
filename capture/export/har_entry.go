package export

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-go/sluice/capture"
)

// openedAhead is how long a connection may have been ready before a request, for the time that it
// took to connect to count as the request's.
const openedAhead = 100 * time.Millisecond

// maxFields is how many fields of a section, and parameters of a query, an entry has.
const maxFields = 1000

// entry makes the entry of a request.
func (h *HAR) entry(r *capture.Request) *harEntry {
	e := &harEntry{
		PageRef:    pageID,
		Protocol:   r.Version,
		Priority:   r.Priority,
		BytesIn:    r.Wire[capture.Server],
		BytesOut:   r.Wire[capture.Client],
		ObjectSize: r.Body[capture.Server],
		Host:       r.Authority,
		Lossy:      r.Lossy,
		Incomplete: !r.Complete && r.ResetBy == "",
	}
	c := h.conns[r.Conn]
	e.Connection = strconv.FormatUint(r.Conn, 10)
	e.ConnectionID = e.Connection
	if c != nil {
		e.connection(&c.info)
	}
	e.stream(r)
	start := h.timings(e, r, c)
	e.StartedDateTime = harTime(start)
	e.request(r)
	e.response(r)
	for _, ch := range r.DataChunks {
		e.Chunks = append(e.Chunks, harChunk{TS: h.out.since(ch.Time), Bytes: ch.Octets})
	}
	return e
}

// connection says what is known of the connection.
func (e *harEntry) connection(c *capture.Connection) {
	if c.Server.IsValid() {
		e.ServerIPAddress = c.Server.Addr().String()
		e.IPAddr = e.ServerIPAddress
		e.ServerPort = strconv.Itoa(int(c.Server.Port()))
	}
	if c.Client.IsValid() {
		e.ClientPort = strconv.Itoa(int(c.Client.Port()))
	}
	if c.TLS == nil {
		return
	}
	e.IsSecure = 1
	e.TLSVersion, e.TLSNextProto, e.TLSCipher = c.TLS.VersionName(), c.TLS.ALPN, c.TLS.CipherSuite
	e.TLSResumed = "False"
	if c.TLS.Resumed {
		e.TLSResumed = "True"
	}
}

// stream says what is particular to HTTP/2.
func (e *harEntry) stream(r *capture.Request) {
	if r.Version == "HTTP/2" {
		e.StreamID = r.Stream
	}
	if r.Weight > 0 {
		exclusive := 0
		if r.Exclusive {
			exclusive = 1
		}
		e.Weight, e.Dependency, e.Exclusive = r.Weight, &r.DependsOn, &exclusive
	}
	if r.Pushed {
		e.WasPushed, e.PushedBy = 1, r.Parent
	}
}

// timings says how long each phase took, and returns when the first one began.
func (h *HAR) timings(e *harEntry, r *capture.Request, c *harConn) time.Time {
	start := first(r.Start, r.RequestEnd, r.Response, r.FirstData, r.End, h.out.base)
	answer := first(r.Response, r.FirstData)
	// A response may begin before the request has ended.
	sent := first(r.RequestEnd, answer, r.End)
	if !answer.IsZero() && sent.After(answer) {
		sent = answer
	}
	t := &e.Timings
	*t = harTimings{DNS: -1, Connect: -1, SSL: -1}
	t.Send = millis(after(start, sent))
	t.Wait = millis(after(sent, first(answer, r.End)))
	t.Receive = millis(after(answer, r.End))
	t.StreamWindow, t.ConnWindow = millis(r.Wait.Stream), millis(r.Wait.Connection)
	t.Concurrency, t.Network = millis(r.Wait.Concurrency), millis(r.Wait.Network)
	t.Blocked = -1
	if r.Wait.Concurrency > 0 {
		t.Blocked = millis(r.Wait.Concurrency)
		start = start.Add(-r.Wait.Concurrency)
	} else if c != nil && !c.used && !r.Start.IsZero() && !r.Pushed {
		start = t.connect(c, start)
		if t.Connect >= 0 {
			e.handshakes(c, h.out.since)
		}
	}
	e.Time = max(t.Blocked, 0) + max(t.Connect, 0) + t.Send + t.Wait + t.Receive
	return start
}

// connect counts the time that the connection took for the first request on it, and returns when
// that began. As in HAR 1.2, connect includes ssl, which is its end.
func (t *harTimings) connect(c *harConn, start time.Time) time.Time {
	c.used = true
	ready, secure := c.connected(start)
	if c.info.StartMissing || c.info.Parent != 0 || ready.IsZero() {
		return start
	}
	if ready.After(start) || start.Sub(ready) > openedAhead || !ready.After(c.info.Time) {
		return start
	}
	t.Connect = millis(after(c.info.Time, ready))
	t.Blocked = millis(after(ready, start))
	if secure {
		t.SSL = millis(after(c.tls.Start, ready))
	}
	return c.info.Time
}

// handshakes says when those of TCP and TLS began and ended, as WebPageTest does: in milliseconds
// since the start of the page.
func (e *harEntry) handshakes(c *harConn, since func(time.Time) float64) {
	at := func(t time.Time) *float64 {
		if t.IsZero() {
			return nil
		}
		ms := since(t)
		return &ms
	}
	e.ConnectStart, e.ConnectEnd = at(c.info.Time), at(c.info.Connected)
	e.SSLStart, e.SSLEnd = at(c.tls.Start), at(c.tls.Finished)
}

// httpVersion is a version as HAR has it: pagexray of sitespeed.io takes HTTP/2.0, and not HTTP/2,
// for HTTP/2.
func httpVersion(version string) string {
	if version == "HTTP/2" {
		return "HTTP/2.0"
	}
	return version
}

// connected returns when a connection was ready for a request that began at start, and whether that
// is when the handshake of TLS had ended. Requests in 0-RTT data begin before it has.
func (c *harConn) connected(start time.Time) (ready time.Time, secure bool) {
	ready = c.ready
	if c.info.Protocol == capture.HTTP1 {
		ready = start
	}
	ended := c.tls.Finished
	switch {
	case c.info.TLS != nil && !c.tls.Start.IsZero() && !ended.IsZero() && !ended.After(start):
		return ended, true
	case c.info.TLS != nil && (!c.tls.EarlyData || c.info.Connected.IsZero()):
		return ready, false
	}
	return first(c.info.Connected, ready), false
}

func (e *harEntry) request(r *capture.Request) {
	e.Request = harRequest{
		Method: cmp.Or(r.Method, "UNKNOWN"), URL: e.url(r), HTTPVersion: httpVersion(r.Version), Cookies: []struct{}{},
		Headers: harFields(r.Fields[capture.Client]), QueryString: query(r.Path), HeadersSize: -1,
		BodySize: r.Body[capture.Client],
	}
	if t := r.Trailers[capture.Client]; len(t) > 0 {
		e.Request.Trailers = harFields(t)
	}
}

// url is what is requested. Readers of HAR parse it, so that what is missing is made up.
func (e *harEntry) url(r *capture.Request) string {
	scheme := r.Scheme
	if scheme == "" {
		scheme = "http"
		if e.IsSecure == 1 {
			scheme = "https"
		}
	}
	authority := r.Authority
	if authority == "" {
		authority = "unknown"
		if e.ServerIPAddress != "" {
			authority = e.ServerIPAddress + ":" + e.ServerPort
			if strings.Contains(e.ServerIPAddress, ":") {
				authority = "[" + e.ServerIPAddress + "]:" + e.ServerPort
			}
		}
	}
	path := r.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + strings.TrimPrefix(path, "*")
	}
	return scheme + "://" + authority + path
}

func (e *harEntry) response(r *capture.Request) {
	e.Response = harResponse{
		Status: r.Status, StatusText: r.Reason, HTTPVersion: httpVersion(r.Version), Cookies: []struct{}{},
		Headers: harFields(r.Fields[capture.Server]), RedirectURL: r.Field(capture.Server, "location"), HeadersSize: -1,
		BodySize: r.Body[capture.Server], Transferred: r.Wire[capture.Server],
		Content: harContent{Size: r.Body[capture.Server], MimeType: r.ContentType},
	}
	if t := r.Trailers[capture.Server]; len(t) > 0 {
		e.Response.Trailers = harFields(t)
	}
	switch {
	case r.ResetBy != "":
		e.Response.Error = "RST_STREAM " + r.ResetCode.String() + " by the " + r.ResetBy
	case r.GoAway:
		e.Response.Error = "GOAWAY: not processed"
	case r.Problem != "":
		e.Response.Error = r.Problem
	}
	if r.GRPC != nil {
		status := r.GRPC.Status
		e.Response.GRPCStatus = &status
	}
}

// harFields are fields in their order.
func harFields(fs []capture.Field) []harField {
	out := make([]harField, 0, min(len(fs), maxFields))
	for i := range fs[:min(len(fs), maxFields)] {
		f := harField{Name: fs[i].Name, Value: fs[i].Value, Hidden: fs[i].Hidden}
		if fs[i].State != capture.Known {
			f.State = fs[i].State.String()
		}
		out = append(out, f)
	}
	return out
}

// query is the parameters of a path in their order, decoded where that is possible.
func query(path string) []harField {
	out := []harField{}
	_, q, _ := strings.Cut(path, "?")
	for q != "" && len(out) < maxFields {
		var pair string
		pair, q, _ = strings.Cut(q, "&")
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		out = append(out, harField{Name: unescape(k), Value: unescape(v)})
	}
	return out
}

func unescape(s string) string {
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return s
}
