package inspect

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture"
)

// exchanged is a request that took ms milliseconds.
func exchanged(conn uint64, stream uint32, path string, ms int, request, response []capture.Field) *capture.Request {
	start := at(int(stream) * 1000)
	return &capture.Request{
		Conn: conn, Stream: stream, Method: "GET", Scheme: "https", Authority: "a.example", Path: path, Status: 200,
		Start: start, Response: start.Add(time.Millisecond), End: start.Add(time.Duration(ms) * time.Millisecond),
		Complete: true, Fields: [2][]capture.Field{request, response}, Body: [2]int64{0, 10},
	}
}

func TestDiff(t *testing.T) {
	var b bytes.Buffer
	c := &comparison{x: newText(&b, false)}
	changed := exchanged(2, 3, "/a", 4, fields(
		":method: GET", "host: b", "c: 1", "a: 1", "b: 1", "cookie: 2", "cookie: 1", "via: 1.1 proxy",
	), fields("server: s", "x: \x1b1"))
	changed.Status, changed.Scheme, changed.Body, changed.Complete = 502, "http", [2]int64{0, 5}, false
	for _, r := range []*capture.Request{
		exchanged(1, 5, "/same", 2, fields("Accept: x"), nil),
		exchanged(1, 3, "/a", 3, fields(
			":method: GET", "Host: a", "a: 1", "b: 1", "c: 1", "cookie: 1", "cookie: 2", "proxy-connection: close",
		), fields("server: s", "x: 1", "x: 2")),
		exchanged(1, 7, "/same", 2, nil, nil),
		exchanged(1, 9, "/dropped", 2, nil, nil),
	} {
		c.a.event(r)
	}
	for _, r := range []*capture.Request{
		exchanged(2, 9, "/same", 2, nil, nil), changed, exchanged(2, 1, "/same", 3, fields("accept: x"), nil),
		exchanged(2, 11, "/same", 1, nil, nil),
	} {
		c.b.event(r)
	}
	c.run()
	want := `GET https://a.example/a  A #1 stream 3, B #2 stream 3
    ~ request scheme https → http
    ~ request host: a → b
    ~ request cookie: the same lines in another order
    - request proxy-connection: close
    + request via: 1.1 proxy
    ~ request fields stand in another order: c
    ~ response status 200 → 502, not complete
    ~ response octets of content 10 → 5
    - response x: 1
    - response x: 2
    + response x: \x1b1
      time: A 3ms, B 4ms; to the response's fields: A 1ms, B 1ms
GET https://a.example/same  A #1 stream 5, B #2 stream 1
      time: A 2ms, B 3ms; to the response's fields: A 1ms, B 1ms
GET https://a.example/same  A #1 stream 7, B #2 stream 9
      time: A 2ms, B 2ms; to the response's fields: A 1ms, B 1ms
only in A #1 stream 9: GET https://a.example/dropped
only in B #2 stream 11: GET https://a.example/same

4 requests in A, 4 requests in B: 3 pairs, 2 of them the same
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("differences (-want +got):\n%s", diff)
	}
	if c.different != 3 {
		t.Errorf("%d requests are different, want 3", c.different)
	}
}

// The two legs of a proxy in one capture are told apart by what the capture says of them.
func TestDiffOfLegs(t *testing.T) {
	for _, tt := range []struct {
		name  string
		conns []*capture.Connection
	}{
		{"legs", []*capture.Connection{{ID: 1, Leg: "client"}, {ID: 2, Leg: "origin"}}},
		{"twins", []*capture.Connection{{ID: 1}, {ID: 2, Twin: 1}}},
		{"twins that both say so", []*capture.Connection{{ID: 1, Twin: 2}, {ID: 2, Twin: 1}}},
	} {
		c := &comparison{}
		w := &twins{c: c}
		for _, head := range tt.conns {
			w.event(head)
		}
		w.event(&capture.Connection{ID: 3})
		w.event(exchanged(1, 1, "/", 1, nil, nil))
		w.event(exchanged(2, 1, "/", 1, nil, nil))
		w.event(exchanged(3, 1, "/", 1, nil, nil))
		if len(c.a.list) != 1 || len(c.b.list) != 1 || c.a.list[0].Conn != 1 || c.b.list[0].Conn != 2 {
			t.Errorf("%s: %d requests in A and %d in B", tt.name, len(c.a.list), len(c.b.list))
		}
	}
}

// A CONNECT is compared where nothing is known of its tunnel.
func TestDiffOfTunnels(t *testing.T) {
	var s exchanges
	s.event(&capture.Connection{ID: 1})
	s.event(&capture.Connection{ID: 2, Parent: 1, ParentStream: 3})
	s.event(&capture.Request{Conn: 2, Stream: 1, Method: "GET", Path: "/in"})
	s.event(&capture.Request{Conn: 1, Stream: 3, Method: "CONNECT", Authority: "a.example:443"})
	s.event(&capture.Request{Conn: 1, Stream: 5, Method: "CONNECT", Authority: "b.example:22"})
	var got []string
	for _, e := range s.list {
		got = append(got, e.key)
	}
	if diff := cmp.Diff([]string{"GET /in", "CONNECT b.example:22"}, got); diff != "" {
		t.Errorf("compared (-want +got):\n%s", diff)
	}
}
