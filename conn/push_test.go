package conn

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
	"github.com/sluice-go/sluice/internal/memconn"
)

// pushed is a promise of GET path on stream 1.
func pushed(id uint32, path string) h2test.Block {
	h := h2test.Request(1, "GET", path)
	h.PromisedID = id
	return h
}

func TestStreamPush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Get(1))
		ps, err := st.Push(h2test.Request(0, "GET", "/style.css").With("accept: text/css").Fields)
		check(t, "Push", err)
		if m := ps.Message(); m.Method != "GET" || m.Path != "/style.css" || len(m.Fields) != 1 || ps.ID() != 2 ||
			!ps.RemoteEnded() {
			t.Errorf("stream %d: %+v", ps.ID(), m)
		}
		if n, err := ps.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("Read of no body: %d, %v", n, err)
		}
		p.wantIdle("nothing was flushed")
		check(t, "Reply", st.Reply(status2(200), []byte("page"), nil))
		st.Release()
		check(t, "Reply to the push", ps.Reply(status2(200), []byte("style"), nil))
		ps.Release()
		p.c.Flush()
		p.want("the promise first", pushed(2, "/style.css").With("accept: text/css"),
			h2test.Response(1, 200), h2test.DataEnd(1, "page"), h2test.Response(2, 200), h2test.DataEnd(2, "style"))
		if n := p.c.Stats().Streams; n != 0 {
			t.Errorf("%d streams are left", n)
		}
		p.wantStates("the connection is idle again", "idle active idle")
	})
}

func TestStreamPushCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(0))
		st := p.open(h2test.Get(1))
		promised, err := st.Push(h2test.Request(0, "GET", "/promised").Fields)
		check(t, "Push", err)
		running, err := st.Push(h2test.Request(0, "GET", "/running").Fields)
		check(t, "Push", err)
		forgotten, err := st.Push(h2test.Request(0, "GET", "/forgotten").Fields)
		check(t, "Push", err)
		var ends []error
		for _, ps := range []*Stream{promised, running} {
			ps.OnEnd(func(err error) { ends = append(ends, err) })
		}
		check(t, "WriteHeaders", running.WriteHeaders(status2(200), false))
		write := p.start(func() (int, error) { return running.Write(make([]byte, 1000)) })
		write.wantWaiting("the window is closed")
		p.want(
			"what there is",
			pushed(2, "/promised"),
			pushed(4, "/running"),
			pushed(6, "/forgotten"),
			h2test.Response(4, 200),
		)
		p.send(h2test.RST(2, frame.Cancel), h2test.RST(4, frame.RefusedStream))
		if len(ends) != 2 || !errors.Is(ends[0], frame.Cancel) || !errors.Is(ends[1], frame.RefusedStream) {
			t.Errorf("OnEnd was told %v", ends)
		}
		write.want("the write fails", 0, ends[1])
		if err := promised.WriteHeaders(status2(200), true); !errors.Is(err, frame.Cancel) {
			t.Errorf("an answer to what was cancelled: %v", err)
		}
		promised.Release()
		running.Release()
		forgotten.Release()
		check(t, "Reply", st.Reply(status2(204), nil, nil))
		st.Release()
		p.c.Flush()
		p.want("a promise that nobody keeps", h2test.RST(6, frame.Cancel), h2test.Response(1, 204).End())
		if n := p.c.Stats().Streams; n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

func TestStreamPushRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st, other := p.open(h2test.Get(1)), p.open(h2test.Get(3))
		fields := h2test.Request(0, "GET", "/").Fields
		p.send(h2test.Settings(frame.Setting{ID: frame.SettingEnablePush, Value: 0}))
		if _, err := st.Push(fields); !errors.Is(err, core.ErrPushDisabled) {
			t.Errorf("Push: %v", err)
		}
		p.want("an acknowledgement", h2test.Ack)
		p.send(h2test.RST(3, frame.Cancel))
		if _, err := other.Push(fields); !errors.Is(err, frame.Cancel) {
			t.Errorf("Push on a stream that was reset: %v", err)
		}
		_ = p.nc.Close()
		synctest.Wait()
		if _, err := st.Push(fields); err == nil {
			t.Error("Push on a connection that is lost")
		}
		st.Release()
		other.Release()
	})
}

// pushClient is the client's side: it notes what was pushed.
type pushClient struct {
	mu  sync.Mutex
	got map[string]string // content by path
	all sync.WaitGroup
}

func (h *pushClient) HandleStreams(batch []*Stream) {
	for _, st := range batch {
		h.all.Go(func() { // ends with the stream
			defer st.Release()
			path := st.Promise().Path
			_, err := headOf(st)
			body, rerr := io.ReadAll(st)
			h.mu.Lock()
			defer h.mu.Unlock()
			h.got[path] = fmt.Sprint(string(body), " ", err, " ", rerr)
		})
	}
}

func (*pushClient) StreamBlocked(*Stream) {}
func (*pushClient) ConnState(bool)        {}

// The two Conns back to back: a hundred pages, each with three pushes.
func TestPushPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cn, sn := testEnds(t, memconn.Options{})
		h := &pushClient{got: map[string]string{}}
		client := NewClient(cn, Config{EnablePush: true}, h)
		server := NewServer(sn, Config{}, handlerFunc(func(st *Stream) {
			path := st.Message().Path
			for i := range 3 {
				ps, err := st.Push(h2test.Request(0, "GET", fmt.Sprintf("%s-%d", path, i)).Fields)
				if err != nil {
					t.Error(err)
					return
				}
				if err := ps.Reply(status2(200), []byte("content of "+ps.Message().Path), nil); err != nil {
					t.Error(err)
				}
				ps.Release()
			}
			if err := st.Reply(status2(200), []byte("page"), nil); err != nil {
				t.Error(err)
			}
		}))
		var served sync.WaitGroup
		served.Go(func() { _ = client.Serve() })
		served.Go(func() { _ = server.Serve() })
		for i := range 100 {
			var st *Stream
			st, err := client.OpenRequest(
				&Request{Fields: h2test.Request(0, "GET", fmt.Sprintf("/%d", i)).Fields, End: true, Owner: i},
			)
			check(t, "OpenRequest", err)
			_, err = headOf(st)
			check(t, "Head", err)
			if body, err := io.ReadAll(st); string(body) != "page" || err != nil {
				t.Errorf("%q, %v", body, err)
			}
			st.Release()
		}
		client.Shutdown()
		served.Wait()
		h.all.Wait()
		for i := range 100 {
			for k := range 3 {
				path := fmt.Sprintf("/%d-%d", i, k)
				if got := h.got[path]; got != "content of "+path+" <nil> <nil>" {
					t.Errorf("%s: %s", path, got)
				}
			}
		}
		if s := server.Stats(); s.PromisesOut != 300 || s.Streams != 0 {
			t.Errorf("%d promises, %d streams left", s.PromisesOut, s.Streams)
		}
	})
}

// What follows a promise is not read before the handler has got the promised stream, though all has
// come at once; nor is the memory of the stream given back.
func TestPushBeforeResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{EnablePush: true})
		goOn := make(chan struct{})
		p.h.onStreams = func([]*Stream) { <-goOn }
		open := func() *Stream {
			st, err := p.client.OpenRequest(&Request{Fields: h2test.Get(0).Fields, End: true, Owner: p})
			check(t, "OpenRequest", err)
			return st
		}
		head, body, released := open(), open(), open()
		p.frames()
		p.send(h2test.Response(3, 200))
		_, err := headOf(body)
		check(t, "Head", err)
		got := make(chan string, 2)
		go func() {
			_, err := headOf(head)
			got <- fmt.Sprint("head ", err)
		}()
		go func() {
			b, err := io.ReadAll(body)
			got <- fmt.Sprint(string(b), " ", err)
		}()
		synctest.Wait()
		promise := func(on, id uint32) frame.PushPromise {
			fields := h2test.Request(0, "GET", "/").Fields
			return frame.PushPromise{StreamID: on, PromisedID: id, EndHeaders: true, Fragment: p.codec.Block(fields...)}
		}
		// Where octets come one by one, the handler waits with the first promise.
		p.send(promise(5, 2), promise(1, 4), promise(1, 6), promise(3, 8), h2test.Response(1, 200), h2test.DataEnd(3, "body"),
			h2test.Response(5, 204).End())
		released.Release()
		synctest.Wait()
		if len(got) > 0 {
			t.Errorf("%s, before the handler has got the promise", <-got)
		}
		close(goOn)
		synctest.Wait()
		if len(got) != 2 {
			t.Fatalf("%d of 2 readers have gone on", len(got))
		}
		for range 2 {
			if s := <-got; s != "head <nil>" && s != "body <nil>" {
				t.Error(s)
			}
		}
		head.Release()
		body.Release()
		for id := uint32(2); id <= 8; id += 2 {
			p.stream(id).Release()
		}
	})
}

// OnReceive reports what has arrived for a stream that is not read.
func TestOnReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestServer(t, Config{EnablePush: true})
		parent, err := p.client.OpenRequest(&Request{Fields: h2test.Get(0).Fields, End: true, Owner: p})
		check(t, "OpenRequest", err)
		p.frames()
		promise := frame.PushPromise{
			StreamID:   1,
			PromisedID: 2,
			EndHeaders: true,
			Fragment:   p.codec.Block(h2test.Request(0, "GET", "/").Fields...),
		}
		p.send(promise, h2test.Response(2, 200), h2test.Data(2, "before"))
		st := p.stream(2)
		var got []int
		have := st.OnReceive(func(n int) { got = append(got, n) })
		p.send(h2test.Data(2, "1"), h2test.Data(2, ""), h2test.Data(2, "23"))
		p.send(h2test.DataEnd(2, "456"))
		if have != 6 || len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 3 {
			t.Errorf("%d octets before, then %v", have, got)
		}
		if body, err := io.ReadAll(st); string(body) != "before123456" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		st.Release()
		parent.Release()
	})
}
