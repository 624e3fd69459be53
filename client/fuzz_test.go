package client

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Whatever a server sends, a request ends when its connection does, and nothing is left behind:
// that, and panics, is what the bubble finds.
func FuzzServer(f *testing.F) {
	block := h2test.NewCodec().Block(h2test.Response(1, 200, "content-length: 3").Fields...)
	head := frame.Headers{StreamID: 1, EndHeaders: true, Fragment: block}.Append(nil)
	f.Add(head)
	f.Add(h2test.DataEnd(1, "abc").Append(head))
	f.Add(h2test.RST(1, frame.NoError).Append(h2test.DataEnd(1, "abc").Append(head)))
	f.Add(h2test.GoAway(1, frame.NoError, "").Append(head))
	f.Add(h2test.GoAway(0, frame.EnhanceYourCalm, "").Append(nil))
	f.Add(h2test.RST(3, frame.RefusedStream).Append(head))
	f.Add(frame.PushPromise{StreamID: 1, PromisedID: 2, EndHeaders: true, Fragment: block}.Append(head))
	f.Add(frame.NewSettings(maxStreams(0)).Append(nil))
	f.Add(frame.WindowUpdate{StreamID: 1, Increment: 1<<31 - 1}.Append(nil))
	f.Add(frame.Ping{}.Append(h2test.Data(3, "x").Append(nil)))
	f.Fuzz(func(t *testing.T, octets []byte) {
		synctest.Test(t, func(t *testing.T) {
			f := newTestDialer(t, func(tr *Transport) {
				tr.PushHandler = PushHandlerFunc(func(p *Push) {
					if resp, err := p.Response(t.Context()); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				})
			})
			get := f.get()
			post := f.start(newRequest(t, "POST", testURL, streamOnly{strings.NewReader(strings.Repeat("x", 100_000))}))
			p := f.accept()
			go io.Copy(io.Discard, p.nc)
			p.send(octets)
			synctest.Wait()
			_ = p.nc.CloseWrite()
			for _, r := range []*result{get, post} {
				<-r.done
				if r.err == nil {
					_, _ = io.Copy(io.Discard, r.resp.Body)
					_ = r.resp.Body.Close()
				}
			}
			f.close()
			_ = p.nc.Close()
		})
	})
}
