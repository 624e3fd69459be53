package get

import (
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"
)

// timing has the times of a request, of its last hop where it was redirected.
type timing struct {
	mu                 sync.Mutex // guards what follows until the response has come: dials may outlive it
	start              time.Time
	asked              time.Time // for a connection, or for a stream of one
	dnsStart, dnsEnd   time.Time
	tcpStart, tcpEnd   time.Time
	tlsStart, tlsEnd   time.Time
	gotConn            time.Time
	reused             bool
	sent               time.Time
	firstOctet, finish time.Time
}

// trace returns what writes the times.
func (t *timing) trace() *httptrace.ClientTrace {
	at := func(p *time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		*p = time.Now()
	}
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.dnsStart, t.tcpStart, t.tlsStart, t.sent = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			t.asked = time.Now()
			if t.start.IsZero() {
				t.start = t.asked
			}
		},
		DNSStart:          func(httptrace.DNSStartInfo) { at(&t.dnsStart) },
		DNSDone:           func(httptrace.DNSDoneInfo) { at(&t.dnsEnd) },
		ConnectStart:      func(string, string) { at(&t.tcpStart) },
		ConnectDone:       func(string, string, error) { at(&t.tcpEnd) },
		TLSHandshakeStart: func() { at(&t.tlsStart) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { at(&t.tlsEnd) },
		GotConn: func(info httptrace.GotConnInfo) {
			at(&t.gotConn)
			t.mu.Lock()
			defer t.mu.Unlock()
			t.reused = info.Reused
		},
		WroteRequest:         func(httptrace.WroteRequestInfo) { at(&t.sent) },
		GotFirstResponseByte: func() { at(&t.firstOctet) },
	}
}

// end notes the end of the exchange.
func (t *timing) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finish = time.Now()
}

// spans are the durations of the table, negative where there was none.
type spans struct {
	dns, tcp, tls, queue, send, wait, content, total time.Duration
}

// spans returns the durations.
func (t *timing) spans() spans {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := spans{
		dns: between(t.dnsStart, t.dnsEnd), tcp: between(t.tcpStart, t.tcpEnd), tls: between(t.tlsStart, t.tlsEnd),
		send: between(t.gotConn, t.sent), wait: between(t.sent, t.firstOctet),
		content: between(t.firstOctet, t.finish), total: between(t.start, t.finish),
	}
	// What is left of the time until there was a stream is waiting, for one that is free, or for a
	// connection that another request has made.
	if s.queue = between(t.asked, t.gotConn); s.queue >= 0 {
		s.queue = max(0, s.queue-max(0, s.dns)-max(0, s.tcp)-max(0, s.tls))
	}
	if t.firstOctet.Before(t.sent) { // the response has come before the request was sent whole
		s.wait = max(0, between(t.gotConn, t.firstOctet))
	}
	return s
}

// between is the time from a to b, or -1.
func between(a, b time.Time) time.Duration {
	if a.IsZero() || b.IsZero() || b.Before(a) {
		return -1
	}
	return b.Sub(a)
}
