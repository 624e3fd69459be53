package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/frame"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(ms float64) time.Time { return t0.Add(time.Duration(ms * float64(time.Millisecond))) }

var someConn = &capture.Connection{
	ID: 1, Time: t0, Protocol: capture.HTTP2, Client: netip.MustParseAddrPort("192.0.2.1:50000"),
	Server: netip.MustParseAddrPort("198.51.100.4:443"),
	TLS:    &capture.TLS{Version: 0x304, CipherSuite: 0x1301, ALPN: "h2", ServerName: "www.example.com", Resumed: true},
}

// someRequest is a request that has everything.
func someRequest() *capture.Request {
	r := &capture.Request{
		Conn: 1, Stream: 5, Version: "HTTP/2", Method: "GET", Scheme: "https", Authority: "www.example.com",
		Path: "/a?q=1&empty&x=a%20b", Status: 200, ContentType: "text/css", Priority: "u=1, i", Weight: 220, DependsOn: 3,
		Exclusive: true, Start: at(20), RequestEnd: at(20.5), Response: at(60), FirstData: at(61), End: at(80),
		Body: [2]int64{0, 3000}, Wire: [2]int64{40, 3100}, Complete: true,
		DataChunks: []capture.Chunk{{Time: at(61), Octets: 1000}, {Time: at(80), Octets: 2000}},
		Wait:       capture.Wait{Stream: 4 * time.Millisecond, Connection: 6 * time.Millisecond, Network: time.Millisecond},
	}
	r.Fields[capture.Client] = []capture.Field{
		{Name: ":method", Value: "GET"},
		{Name: "cookie", Value: "(hidden)", Hidden: true},
		{Name: "x-late", State: capture.UnknownField, Index: 70},
	}
	r.Fields[capture.Server] = []capture.Field{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "text/css"}}
	r.Trailers[capture.Server] = []capture.Field{{Name: "server-timing", Value: "db"}}
	return r
}

// parsedHAR is the log of a HAR as any reader gets it.
func parsedHAR(t *testing.T, o HAROptions, events ...capture.Event) map[string]any {
	t.Helper()
	var b bytes.Buffer
	h := NewHAR(&b, o)
	for _, ev := range events {
		h.Handle(ev)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	var v struct{ Log map[string]any }
	if err := json.Unmarshal(b.Bytes(), &v); err != nil {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	return v.Log
}

// entryOf is one entry.
func entryOf(t *testing.T, log map[string]any, i int) map[string]any {
	t.Helper()
	list := log["entries"].([]any)
	if i >= len(list) {
		t.Fatalf("%d entries, want more than %d", len(list), i)
	}
	return list[i].(map[string]any)
}

func fromJSON(s string) (v any) {
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		panic(err)
	}
	return v
}

// An entry has the names and values that readers of HAR know.
func TestHAREntry(t *testing.T) {
	log := parsedHAR(t, HAROptions{Title: "x.pcap"}, someConn, someRequest())
	want := fromJSON(`{
		"pageref":"page_1","startedDateTime":"2026-03-01T12:00:00.020000Z","time":60,
		"request":{"method":"GET","url":"https://www.example.com/a?q=1&empty&x=a%20b","httpVersion":"HTTP/2.0","cookies":[],
			"headers":[{"name":":method","value":"GET"},{"name":"cookie","value":"(hidden)","_hidden":true},
				{"name":"x-late","value":"","_state":"unknown"}],
			"queryString":[{"name":"q","value":"1"},{"name":"empty","value":""},{"name":"x","value":"a b"}],
			"headersSize":-1,"bodySize":0},
		"response":{"status":200,"statusText":"","httpVersion":"HTTP/2.0","cookies":[],
			"headers":[{"name":":status","value":"200"},{"name":"content-type","value":"text/css"}],
			"content":{"size":3000,"mimeType":"text/css"},"redirectURL":"","headersSize":-1,"bodySize":3000,
			"_transferSize":3100,
			"_trailers":[{"name":"server-timing","value":"db"}]},
		"cache":{},
		"timings":{"blocked":-1,"dns":-1,"connect":-1,"ssl":-1,"send":0.5,"wait":39.5,"receive":20,
			"_blocked_stream_window":4,"_blocked_connection_window":6,"_blocked_network":1},
		"serverIPAddress":"198.51.100.4","connection":"1","_protocol":"HTTP/2","_http2_stream_id":5,
		"_http2_stream_dependency":3,"_http2_stream_weight":220,"_http2_stream_exclusive":1,"_priority":"u=1, i",
		"_chunks":[{"ts":61,"bytes":1000},{"ts":80,"bytes":2000}],"_bytesIn":3100,"_bytesOut":40,"_objectSize":3000,
		"_is_secure":1,"_host":"www.example.com","_ip_addr":"198.51.100.4","_server_port":"443","_client_port":"50000",
		"_connectionId":"1","_tls_version":"TLS 1.3","_tls_next_proto":"h2","_tls_resumed":"True","_tls_cipher_suite":4865
	}`)
	if diff := cmp.Diff(want, any(entryOf(t, log, 0))); diff != "" {
		t.Errorf("entry: -want +got\n%s", diff)
	}
	wantPage := fromJSON(`[
		{"startedDateTime":"2026-03-01T12:00:00.000000Z","id":"page_1","title":"x.pcap","pageTimings":{}}]`)
	if diff := cmp.Diff(wantPage, log["pages"]); diff != "" {
		t.Error(diff)
	}
}

// frame1 is the first frame of a connection.
var frame1 = &capture.Frame{Conn: 1, First: at(12), Time: at(12)}

// timings are what an entry should have.
func timings(blocked, connect, send, wait, receive float64) map[string]float64 {
	return map[string]float64{"blocked": blocked, "connect": connect, "send": send, "wait": wait, "receive": receive}
}

var timingCases = []struct {
	name    string
	frame   *capture.Frame
	change  func(r *capture.Request)
	want    map[string]float64
	started string
}{
	{"plain", nil, func(*capture.Request) {}, timings(-1, -1, 0.5, 39.5, 20), "12:00:00.020000Z"},
	{
		"first on its connection", frame1,
		func(*capture.Request) {}, timings(8, 12, 0.5, 39.5, 20), "12:00:00.000000Z",
	},
	{
		"connection opened ahead of need", frame1,
		func(r *capture.Request) {
			r.Start, r.RequestEnd, r.Response, r.End = at(500), at(500), at(510), at(520)
		},
		timings(-1, -1, 0, 10, 10), "12:00:00.500000Z",
	},
	{
		"waited for a free stream", frame1,
		func(r *capture.Request) { r.Wait.Concurrency = 7 * time.Millisecond },
		timings(7, -1, 0.5, 39.5, 20), "12:00:00.013000Z",
	},
	{
		"answered before the request's end", nil,
		func(r *capture.Request) { r.RequestEnd = at(70) }, timings(-1, -1, 40, 0, 20), "12:00:00.020000Z",
	},
	{
		"without a response", nil,
		func(r *capture.Request) { r.Response, r.FirstData = time.Time{}, time.Time{} },
		timings(-1, -1, 0.5, 59.5, 0), "12:00:00.020000Z",
	},
	{
		"start not seen", nil,
		func(r *capture.Request) { r.Start, r.RequestEnd = time.Time{}, time.Time{} },
		timings(-1, -1, 0, 0, 20), "12:00:00.060000Z",
	},
	{
		"no times at all", nil, func(r *capture.Request) {
			r.Start, r.RequestEnd, r.Response = time.Time{}, time.Time{}, time.Time{}
			r.FirstData, r.End = time.Time{}, time.Time{}
		}, timings(-1, -1, 0, 0, 0), "12:00:00.000000Z",
	},
}

// The phases of an entry add up to its time, and none is negative.
func TestHARTimings(t *testing.T) {
	for _, c := range timingCases {
		t.Run(c.name, func(t *testing.T) {
			r := someRequest()
			c.change(r)
			events := []capture.Event{someConn}
			if c.frame != nil {
				events = append(events, c.frame)
			}
			e := entryOf(t, parsedHAR(t, HAROptions{}, append(events, r)...), 0)
			got, sum := map[string]float64{}, 0.0
			for k := range c.want {
				got[k] = e["timings"].(map[string]any)[k].(float64)
				sum += max(0, got[k])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("timings: -want +got\n%s", diff)
			}
			if e["time"] != sum {
				t.Errorf("time %v, want the sum of phases, %v", e["time"], sum)
			}
			if s := e["startedDateTime"].(string); !strings.HasSuffix(s, c.started) {
				t.Errorf("started at %s, want %s", s, c.started)
			}
		})
	}
}

// The first request on a connection has the times that TCP and TLS took; ssl is the end of connect.
func TestHARConnect(t *testing.T) {
	for _, c := range []struct {
		name                       string
		connected, start, finished float64
		change                     func(c *capture.Connection, r *capture.Request)
		connect, ssl, blocked      float64
		begins                     float64
	}{
		{"TLS", 3, 4, 11, nil, 11, 7, 9, 0},
		{"without a key", 3, 4, 0, nil, 12, -1, 8, 0},
		{"TLS that ended behind the request", 3, 4, 21, nil, 12, -1, 8, 0},
		{"0-RTT", 3, 4, 21, func(c *capture.Connection, _ *capture.Request) { c.TLS.EarlyData = true }, 3, -1, 17, 0},
		{"in cleartext", 3, 0, 0, func(c *capture.Connection, _ *capture.Request) { c.TLS = nil }, 3, -1, 17, 0},
		{"HTTP/1.1 in cleartext", 3, 0, 0, func(c *capture.Connection, _ *capture.Request) {
			c.TLS, c.Protocol = nil, capture.HTTP1
		}, 3, -1, 17, 0},
		{"idle for long", 3, 4, 11, func(_ *capture.Connection, r *capture.Request) {
			r.Start, r.RequestEnd, r.Response, r.End = at(500), at(500), at(510), at(520)
		}, -1, -1, -1, 500},
		{"start not seen", 3, 4, 11, func(c *capture.Connection, _ *capture.Request) {
			c.StartMissing = true
		}, -1, -1, -1, 20},
	} {
		info, tls, r := *someConn, *someConn.TLS, someRequest()
		info.TLS, info.Connected = &tls, at(c.connected)
		if c.start > 0 {
			tls.Start = at(c.start)
		}
		if c.finished > 0 {
			tls.Finished = at(c.finished)
		}
		if c.change != nil {
			c.change(&info, r)
		}
		log := parsedHAR(t, HAROptions{}, &info, frame1, r, someRequest())
		e := entryOf(t, log, 0)
		got := e["timings"].(map[string]any)
		if got["connect"] != c.connect || got["ssl"] != c.ssl || got["blocked"] != c.blocked {
			t.Errorf("%s: %v", c.name, got)
		}
		for name, want := range map[string]float64{
			"_connect_start": 0, "_connect_end": c.connected, "_ssl_start": c.start, "_ssl_end": c.finished,
		} {
			told := c.connect >= 0 && (want > 0 || name == "_connect_start") && (info.TLS != nil || name[1] == 'c')
			if got, has := e[name]; has != told || has && got != want {
				t.Errorf("%s: %s is %v, want %v: %t", c.name, name, got, want, told)
			}
		}
		if s := e["startedDateTime"]; s != harTime(at(c.begins)) {
			t.Errorf("%s: it begins at %s", c.name, s)
		}
		if again := entryOf(t, log, 1)["timings"].(map[string]any); again["connect"] != -1.0 || again["ssl"] != -1.0 {
			t.Errorf("%s: the second request has connected, too: %v", c.name, again)
		}
	}
}

// Requests of which parts are missing give entries that readers can parse.
func TestHARPartial(t *testing.T) {
	reset := &capture.Request{
		Conn: 1, Stream: 7, Version: "HTTP/2", Method: "GET", Path: "*", ResetBy: "server", ResetCode: frame.RefusedStream,
		Start: at(1), End: at(2),
	}
	pushed := &capture.Request{Conn: 1, Stream: 2, Version: "HTTP/2", Pushed: true, Parent: 1, Start: at(1), End: at(2)}
	h1 := &capture.Request{
		Conn: 9, Stream: 1, Version: "HTTP/1.1", Method: "GET", Scheme: "http", Authority: "a", Path: "/", Status: 404,
		Reason: "Not Found", Start: at(1), End: at(2), Complete: true,
	}
	log := parsedHAR(t, HAROptions{}, someConn, reset, pushed, h1)
	e := entryOf(t, log, 0)
	if got := e["request"].(map[string]any)["url"]; got != "https://198.51.100.4:443/" {
		t.Errorf("url %q", got)
	}
	if got := e["response"].(map[string]any)["_error"]; got != "RST_STREAM REFUSED_STREAM by the server" {
		t.Errorf("error %q", got)
	}
	e = entryOf(t, log, 1)
	if e["_was_pushed"] != 1.0 || e["_pushed_by_stream"] != 1.0 || e["_incomplete"] != true {
		t.Errorf("a pushed request: %v", e)
	}
	e = entryOf(t, log, 2)
	if _, has := e["_http2_stream_id"]; has || e["_protocol"] != "HTTP/1.1" || e["connection"] != "9" {
		t.Errorf("HTTP/1.1: %v", e)
	}
}

// A capture without events is a HAR, and what is above the bound is counted.
func TestHARBounds(t *testing.T) {
	if log := parsedHAR(t, HAROptions{}); len(log["entries"].([]any)) != 0 || log["version"] != "1.2" {
		t.Errorf("an empty HAR: %v", log)
	}
	log := parsedHAR(t, HAROptions{MaxEntries: 2}, someRequest(), someRequest(), someRequest())
	if n := len(log["entries"].([]any)); n != 2 || log["comment"] != "2 of 3 requests: the others are above the bound" {
		t.Errorf("%d entries and the comment %q", n, log["comment"])
	}
	var b bytes.Buffer
	h := NewHAR(&b, HAROptions{})
	for id := range uint64(maxConns + 10) {
		h.Handle(&capture.Connection{ID: id, Time: t0})
	}
	if len(h.conns) != maxConns {
		t.Errorf("%d connections are kept, want %d", len(h.conns), maxConns)
	}
}

// A brokenWriter fails after some octets.
type brokenWriter struct{ left int }

var errBroken = errors.New("disk full")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// An error of writing is returned by Close, once and for all.
func TestWriteErrors(t *testing.T) {
	h := NewHAR(&brokenWriter{left: 5000}, HAROptions{})
	p := NewPerfetto(&brokenWriter{left: 5000}, PerfettoOptions{})
	for range 100 {
		h.Handle(someRequest())
		p.Handle(someRequest())
	}
	if err := h.Close(); !errors.Is(err, errBroken) {
		t.Errorf("HAR: %v", err)
	}
	if err := p.Close(); !errors.Is(err, errBroken) {
		t.Errorf("Perfetto: %v", err)
	}
}
