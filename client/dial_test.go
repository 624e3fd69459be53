package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Over TLS: sessions are resumed where the user has a cache for them, keys are logged, and a
// certificate that is not trusted is an error.
func TestTLS(t *testing.T) {
	u, _, tr := tlsSite(
		t,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.TLS.DidResume) }),
	)
	var keys strings.Builder
	tr.TLSClientConfig.KeyLogWriter = &keys
	tr.DisableKeepAlives = true
	for i, want := range []string{"false", "false", "false", "true"} {
		if i == 2 { // there was no session to resume before
			tr.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
		}
		resp, err := tr.RoundTrip(newRequest(t, "GET", u, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); got != want || resp.TLS == nil || resp.TLS.NegotiatedProtocol != "h2" {
			t.Errorf("request %d: resumed %s, TLS %+v", i, got, resp.TLS)
		}
	}
	if !strings.Contains(keys.String(), "CLIENT_TRAFFIC_SECRET_0") {
		t.Error("no keys were logged")
	}
	if tr.TLSClientConfig.NextProtos != nil || tr.TLSClientConfig.ServerName != "" {
		t.Error("the user's configuration was changed")
	}
	distrusting := &Transport{Proxy: noProxy}
	if _, err := distrusting.RoundTrip(newRequest(t, "GET", u, nil)); err == nil || !contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %v", err)
	}
}

// A handshake that does not end is given up.
func TestTLSHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(t *Transport) { t.Protocols = nil })
		start := time.Now()
		r := f.start(newRequest(t, "GET", "https://example.test/", nil))
		nc, err := f.l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r.wantErr(errHandshakeTimeout)
		var timeout interface{ Timeout() bool }
		if !errors.As(r.err, &timeout) || !timeout.Timeout() || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", r.err, time.Since(start))
		}
		_ = nc.Close()
		f.close()
	})
}

// A request that is given up while it waits for a dial does not wait for its end.
func TestCancelDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newTestDialer(t, func(t *Transport) { t.Protocols = nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		spy := &spyBody{Reader: strings.NewReader("x")}
		r := f.start(newRequest(t, "POST", "https://example.test/", spy).WithContext(ctx))
		nc, err := f.l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		r.wantErr(context.DeadlineExceeded)
		spy.check(t)
		_ = nc.Close()
		f.close()
	})
}
