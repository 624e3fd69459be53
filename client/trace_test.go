package client

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// tracer records the hooks that are called.
func tracer(n *traceNotes) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(hostPort string) { n.add("GetConn " + hostPort) },
		GotConn: func(i httptrace.GotConnInfo) {
			switch {
			case !i.Reused:
				n.add("GotConn new")
			case i.WasIdle:
				n.add("GotConn idle for " + i.IdleTime.String())
			default:
				n.add("GotConn reused")
			}
		},
		GotFirstResponseByte: func() { n.add("GotFirstResponseByte") },
		Got100Continue:       func() { n.add("Got100Continue") },
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			n.add("Got1xx " + http.StatusText(code))
			return nil
		},
		TLSHandshakeStart: func() { n.add("TLSHandshakeStart") },
		TLSHandshakeDone:  func(_ tls.ConnectionState, err error) { n.add("TLSHandshakeDone") },
		WroteHeaderField:  func(k string, v []string) { n.fields = append(n.fields, k) },
		WroteHeaders:      func() { n.add("WroteHeaders") },
		Wait100Continue:   func() { n.add("Wait100Continue") },
		WroteRequest:      func(i httptrace.WroteRequestInfo) { n.add("WroteRequest") },
	}
}

type traceNotes struct {
	callLog
	fields []string
}

// Every hook is called once in each attempt, in its order.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, retrying, func(t *Transport) {
			t.ExpectContinueTimeout, t.SendPingTimeout = time.Second, -1
		})
		n := &traceNotes{}
		ctx := httptrace.WithClientTrace(context.Background(), tracer(n))
		r := f.start(newRequest(t, "GET", testURL, nil).WithContext(ctx))
		p := f.accept()
		p.request()
		p.send(h2test.RST(1, frame.RefusedStream))
		p.request()
		synctest.Wait() // until the hooks for what was sent have returned
		p.send(h2test.Response(3, 103), h2test.Response(3, 200).End())
		r.response()
		n.want(t, "GET, refused once",
			"GetConn example.test:80", "GotConn new", "WroteHeaders", "WroteRequest",
			"GetConn example.test:80", "GotConn idle for 0s", "WroteHeaders", "WroteRequest",
			"GotFirstResponseByte", "Got1xx Early Hints")
		if want := []string{":method", ":scheme", ":authority", ":path", "accept-encoding", "user-agent"}; !slices.Equal(
			n.fields,
			append(want, want...),
		) {
			t.Errorf("fields %q", n.fields)
		}
		time.Sleep(time.Minute)
		req := newRequest(t, "POST", testURL, streamOnly{strings.NewReader("x")}).WithContext(ctx)
		req.Header.Set("Expect", "100-continue")
		r = f.start(req)
		h := p.nextRequest()
		synctest.Wait()
		p.send(h2test.Response(h.StreamID, 100))
		for {
			if d, ok := p.next().(frame.Data); ok && d.EndStream {
				break
			}
		}
		synctest.Wait()
		p.send(h2test.Response(h.StreamID, 204).End())
		r.response()
		n.want(t, "POST with 100-continue",
			"GetConn example.test:80", "GotConn idle for 1m0s", "WroteHeaders", "Wait100Continue",
			"GotFirstResponseByte", "Got1xx Continue", "Got100Continue", "WroteRequest")
		f.close()
		_ = p.nc.Close()
	})
}

// The hooks of a dial are those of the request that it was begun for.
func TestTraceDial(t *testing.T) {
	u, _, tr := tlsSite(
		t,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "ok") }),
	)
	n := &traceNotes{}
	trace := tracer(n)
	trace.ConnectStart = func(network, _ string) { n.add("ConnectStart " + network) }
	trace.ConnectDone = func(network, _ string, err error) { n.add("ConnectDone " + network) }
	resp, err := tr.RoundTrip(
		newRequest(t, "GET", u, nil).WithContext(httptrace.WithClientTrace(context.Background(), trace)),
	)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	n.want(t, "GET", "GetConn "+strings.TrimPrefix(u, "https://"), "ConnectStart tcp", "ConnectDone tcp",
		"TLSHandshakeStart", "TLSHandshakeDone", "GotConn new", "WroteHeaders", "WroteRequest", "GotFirstResponseByte")
}
