//go:build !nethttpomithttp2

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// failures are what ends a request at its server, and a part of the text of the error that says so.
var failures = map[string]struct {
	do   func(p *peer)
	want string
}{
	"REFUSED_STREAM": {func(p *peer) { p.send(h2test.RST(1, frame.RefusedStream)) }, "stream ID 1; REFUSED_STREAM"},
	"INTERNAL_ERROR": {func(p *peer) { p.send(h2test.RST(1, frame.InternalError)) }, "stream ID 1; INTERNAL_ERROR"},
	"end":            {func(p *peer) { _ = p.nc.Close() }, "EOF"},
	"GOAWAY and end": {func(p *peer) {
		p.send(h2test.GoAway(1, frame.EnhanceYourCalm, ""))
		synctest.Wait()
		_ = p.nc.Close()
	}, "ENHANCE_YOUR_CALM"},
	"fault": {func(p *peer) { p.send(frame.WindowUpdate{StreamID: 1}) }, "PROTOCOL_ERROR"},
}

// givingUp are the ways in which a caller does.
var givingUp = map[string]func(*http.Request) (*http.Request, func()){
	"context": func(r *http.Request) (*http.Request, func()) {
		ctx, cancel := context.WithCancel(r.Context())
		return r.WithContext(ctx), cancel
	},
	"deadline": func(r *http.Request) (*http.Request, func()) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		return r.WithContext(ctx), func() { time.Sleep(time.Second); cancel() }
	},
	"Request.Cancel": func(r *http.Request) (*http.Request, func()) {
		c := make(chan struct{})
		r.Cancel = c //nolint:staticcheck // part of the contract
		return r, func() { close(c) }
	},
}

// forFirstCause runs f for some kinds of RoundTripper, for each failure and each way to give up.
func forFirstCause(
	t *testing.T, kinds []string, f func(t *testing.T, fm *testDialer, rt http.RoundTripper, fail, giveUp string),
) {
	for _, kind := range kinds {
		for fail := range failures {
			for giveUp := range givingUp {
				t.Run(kind+"/"+fail+"/"+giveUp, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						fm := newTestDialer(t)
						var rt http.RoundTripper = fm.tr
						if kind != "transport" {
							t1 := &http.Transport{DialContext: fm.l.Dial, Protocols: h2cOnly()}
							if kind == "configure" {
								t2, err := Configure(t1)
								if err != nil {
									t.Fatal(err)
								}
								t2.MaxAttempts = 1 // what is refused is not sent again
							}
							rt = t1
						}
						f(t, fm, rt, fail, giveUp)
						rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
						fm.close()
					})
				})
			}
		}
	}
}

// isGivenUp reports whether err is one of a caller that has given up.
func isGivenUp(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		err != nil && strings.Contains(err.Error(), errRequestCanceled.Error())
}

// Of a response that its server has ended, and whose caller gives up later, the body says what the
// server did, behind what had arrived. The other way round it is the caller's reason.
func TestFirstCauseOfBody(t *testing.T) {
	kinds := []string{"net-http", "transport", "configure"}
	forFirstCause(t, kinds, func(t *testing.T, fm *testDialer, rt http.RoundTripper, fail, giveUp string) {
		for _, serverFirst := range []bool{true, false} {
			req, give := givingUp[giveUp](newRequest(t, "GET", testURL, nil))
			r := startOn(t, rt, req)
			p := fm.accept()
			p.request()
			p.send(h2test.Response(1, 200), h2test.Data(1, "part"))
			resp := r.response()
			synctest.Wait()
			steps := []func(){func() { failures[fail].do(p) }, give}
			if !serverFirst {
				steps[0], steps[1] = steps[1], steps[0]
			}
			for _, step := range steps {
				step()
				synctest.Wait()
			}
			b, err := io.ReadAll(resp.Body)
			if isGivenUp(err) == serverFirst || serverFirst && !contains(fmt.Sprint(err), failures[fail].want) {
				t.Errorf("the server was first: %v; the body ends with: %v", serverFirst, err)
			}
			if string(b) != "part" {
				t.Errorf("the server was first: %v; the body is %q", serverFirst, b)
			}
			_ = resp.Body.Close()
			_ = p.nc.Close()
			synctest.Wait()
		}
	})
}

// The same for RoundTrip, which a hook holds up meanwhile. net/http calls that hook with a lock
// held that its reader needs, so that it cannot run the script.
func TestFirstCauseOfRoundTrip(t *testing.T) {
	forFirstCause(
		t,
		[]string{"transport", "configure"},
		func(t *testing.T, fm *testDialer, rt http.RoundTripper, fail, giveUp string) {
			goOn := make(chan struct{})
			req, give := givingUp[giveUp](newRequest(t, "POST", testURL, streamOnly{strings.NewReader("body")}))
			hooks := &httptrace.ClientTrace{WroteHeaders: func() { <-goOn }}
			req = req.WithContext(httptrace.WithClientTrace(req.Context(), hooks))
			r := startOn(t, rt, req)
			p := fm.accept()
			p.request()
			synctest.Wait()
			failures[fail].do(p)
			synctest.Wait()
			give()
			synctest.Wait()
			close(goOn)
			<-r.done
			if isGivenUp(r.err) || !contains(fmt.Sprint(r.err), failures[fail].want) {
				t.Errorf("RoundTrip: %v", r.err)
			}
			_ = p.nc.Close()
		},
	)
}
