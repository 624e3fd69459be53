//go:build !nethttpomithttp2

package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

const afterGoAwayText = "http2: server sent GOAWAY and closed the connection; LastStreamID=1, "

var protocolError = http2.ConnectionError(http2.ErrCodeProtocol)

// erringServers are what a server does once it has a request, or has sent the head of its response,
// and what programs look for in the text of the error.
var erringServers = []struct {
	name string
	body bool // after the head of the response
	do   func(p *peer)
	want []string

	goAway *http2.GoAwayError
	conn   *http2.ConnectionError
}{
	{
		"reset", false, func(p *peer) { p.send(h2test.RST(1, frame.InternalError)) },
		[]string{"stream error: stream ID 1; INTERNAL_ERROR; received from peer"},
		nil, nil,
	},
	{
		"reset of the body", true, func(p *peer) { p.send(h2test.RST(1, frame.InternalError)) },
		[]string{"stream error: stream ID 1; INTERNAL_ERROR; received from peer"},
		nil, nil,
	},
	{"GOAWAY and the end", false, func(p *peer) {
		p.send(h2test.GoAway(1, frame.NoError, ""))
		synctest.Wait()
		_ = p.nc.Close()
	}, []string{afterGoAwayText + `ErrCode=NO_ERROR, debug=""`}, &http2.GoAwayError{LastStreamID: 1}, nil},
	{"GOAWAY and the end of the body", true, func(p *peer) {
		p.send(h2test.GoAway(1, frame.NoError, ""))
		synctest.Wait()
		_ = p.nc.Close()
	}, []string{afterGoAwayText + `ErrCode=NO_ERROR, debug=""`}, &http2.GoAwayError{LastStreamID: 1}, nil},
	{
		"two GOAWAYs and the end", false, func(p *peer) {
			first := h2test.GoAway(frame.MaxStreamID, frame.EnhanceYourCalm, "")
			first.DebugData = []byte("too_many_pings")
			p.send(first)
			p.send(h2test.GoAway(1, frame.NoError, ""))
			synctest.Wait()
			_ = p.nc.Close()
		},
		[]string{afterGoAwayText + `ErrCode=ENHANCE_YOUR_CALM, debug="too_many_pings"`},
		&http2.GoAwayError{LastStreamID: 1, ErrCode: http2.ErrCodeEnhanceYourCalm, DebugData: "too_many_pings"}, nil,
	},
	{
		"the end", false, func(p *peer) { synctest.Wait(); _ = p.nc.Close() },
		[]string{"unexpected EOF"},
		nil, nil,
	},
	{
		"the end of the body", true, func(p *peer) { synctest.Wait(); _ = p.nc.Close() },
		[]string{"unexpected EOF"},
		nil, nil,
	},
	{"a body too short", true, func(p *peer) { p.send(h2test.DataEnd(1, "1")) }, []string{"unexpected EOF"}, nil, nil},
	{"fault of the connection", false, func(p *peer) {
		p.send(frame.NewSettings(frame.Setting{ID: frame.SettingEnablePush, Value: 7}))
	}, []string{"connection error: PROTOCOL_ERROR"}, nil, &protocolError},
	{
		"fault of the stream", false, func(p *peer) { p.send(h2test.Response(1, 200, "Upper: x")) },
		[]string{"stream error: stream ID 1; PROTOCOL_ERROR; "},
		nil, nil,
	},
	{
		"header too large", false, func(p *peer) {
			p.send(h2test.Response(1, 200).WithPairs(slices.Repeat([]string{"x", strings.Repeat("y", 80)}, 40)...))
		},
		[]string{"response header list larger than advertised limit"},
		nil, nil,
	},
	{"silence", false, func(*peer) {}, []string{"http2: timeout awaiting response headers"}, nil, nil},
	{
		"silence of the connection", true, func(p *peer) { p.silent = true },
		[]string{"http2: client connection lost"},
		nil, nil,
	},
}

// errorFacts are what programs ask of an error.
type errorFacts struct {
	Stream               *http2.StreamError
	GoAway               *http2.GoAwayError
	Conn                 *http2.ConnectionError
	Timeout, IsTimeout   bool
	UnexpectedEOF, Reset bool
}

func factsOf(err error) (f errorFacts) {
	var se http2.StreamError
	if errors.As(err, &se) {
		se.Cause = nil // of another package
		f.Stream = &se
	}
	var ga http2.GoAwayError
	if errors.As(err, &ga) {
		f.GoAway = &ga
	}
	var ce http2.ConnectionError
	if errors.As(err, &ce) {
		f.Conn = &ce
	}
	var ue *url.Error
	f.Timeout = errors.As(err, &ue) && ue.Timeout()
	f.IsTimeout = os.IsTimeout(err)
	f.UnexpectedEOF = errors.Is(err, io.ErrUnexpectedEOF)
	return f
}

// erring has rt send a request to a server that errs, and returns the error of it or of the body.
func erring(t *testing.T, f *testDialer, rt http.RoundTripper, inBody bool, do func(p *peer)) error {
	done := make(chan error, 1)
	go func() {
		resp, err := (&http.Client{Transport: rt}).Get(testURL)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		done <- err
	}()
	p := f.accept()
	p.request()
	if inBody {
		p.send(h2test.Response(1, 200, "content-length: 5"))
		synctest.Wait()
	}
	served := make(chan struct{})
	do(p)
	go func() {
		defer close(served)
		for {
			switch f := p.next().(type) {
			case frame.Ping:
				if !f.Ack && !p.silent {
					p.send(frame.Ping{Ack: true, Data: f.Data})
				}
			case nil:
				return
			}
		}
	}()
	err := <-done
	rt.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	f.close()
	_ = p.nc.Close()
	<-served
	return err
}

// Errors have the texts, and answer the questions, for which programs that were written for
// net/http's HTTP/2 look.
func TestErrorsAsNetHTTP(t *testing.T) {
	for _, tt := range erringServers {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newTestDialer(t, func(t *Transport) {
					t.ResponseHeaderTimeout = 20 * time.Second
					t.MaxResponseHeaderBytes = 2000
				})
				ours := erring(t, f, f.tr, tt.body, tt.do)
				f = newTestDialer(t)
				theirs := erring(t, f, &http.Transport{
					DialContext: f.l.Dial, Protocols: h2cOnly(),
					ResponseHeaderTimeout: 20 * time.Second, MaxResponseHeaderBytes: 2000,
					HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second},
				}, tt.body, tt.do)
				for _, err := range []error{ours, theirs} {
					if err == nil || !contains(err.Error(), tt.want...) {
						t.Errorf("%v\nhas not %q", err, tt.want)
					}
				}
				a, b := factsOf(theirs), factsOf(ours)
				// Those of net/http itself are not found.
				a.GoAway, a.Conn = tt.goAway, tt.conn
				// Package client reports it beside GOAWAY, too.
				b.UnexpectedEOF = a.UnexpectedEOF || b.UnexpectedEOF && b.GoAway == nil
				if d := cmp.Diff(a, b); d != "" {
					t.Errorf("(-net/http +ours):\n%s\n%v\n%v", d, theirs, ours)
				}
			})
		})
	}
}

// Of a request that is given up the error is the context's, or that of net/http for Request.Cancel.
func TestErrorsOfCancel(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for want, give := range map[string]func(*http.Request) *http.Request{
		"net/http: request canceled": func(r *http.Request) *http.Request {
			r.Cancel = ended //nolint:staticcheck // part of the contract
			return r
		},
		"context canceled": func(r *http.Request) *http.Request { return r.WithContext(gone) },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t)
			r := f.start(give(newRequest(t, "GET", testURL, nil)))
			go func() {
				if nc, err := f.l.Accept(); err == nil {
					_, _ = io.Copy(io.Discard, nc)
				}
			}()
			<-r.done
			if r.err == nil || r.err.Error() != want {
				t.Errorf("%v, want %s", r.err, want)
			}
			f.close()
		})
	}
}
