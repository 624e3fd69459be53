package conn

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/conn/core"
	"github.com/sluice-go/sluice/conn/header"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

func TestRequestAndResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		p.send(h2test.Get(1).With("accept: text/plain"))
		p.wantIdle("nobody has answered")
		st := p.stream(1)
		m := st.Message()
		if m.Method != "GET" || m.Scheme != "https" || m.Authority != "example.com" || m.Path != "/" || len(m.Fields) != 1 {
			t.Errorf("the request is %+v", m)
		}
		if st.ID() != 1 || st.Conn() != p.c || !st.RemoteEnded() || st.Err() != nil {
			t.Errorf("the stream is %d, %v, %v", st.ID(), st.RemoteEnded(), st.Err())
		}
		if n, err := st.Read(make([]byte, 10)); n != 0 || err != io.EOF {
			t.Errorf("Read of no body: %d, %v", n, err)
		}
		check(t, "WriteHeaders", st.WriteHeaders(status2(200, "server", "sluice"), false))
		if n, err := st.Write([]byte("hello, ")); n != 7 || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		check(t, "Finish", st.Finish([]byte("world"), nil))
		p.wantIdle("nothing was flushed")
		p.c.Flush()
		p.want(
			"the response",
			h2test.Response(1, 200).With("server: sluice"),
			h2test.Data(1, "hello, "),
			h2test.DataEnd(1, "world"),
		)
		st.Release()
		p.wantIdle("a complete exchange is released without a word")
		if n := p.c.Stats().Streams; n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

func TestReply(t *testing.T) {
	tests := []struct {
		name     string
		body     string
		trailers []header.Field
		want     []any
	}{
		{"empty", "", nil, []any{h2test.Response(1, 200).End()}},
		{"body", "hi", nil, []any{h2test.Response(1, 200), h2test.DataEnd(1, "hi")}},
		{"trailers", "", h2test.Fields("a: b"), []any{h2test.Response(1, 200), h2test.Trailers(1, "a: b")}},
		{
			"all",
			"hi",
			h2test.Fields("a: b"),
			[]any{h2test.Response(1, 200), h2test.Data(1, "hi"), h2test.Trailers(1, "a: b")},
		},
	}
	for how, reply := range map[string]func(*Stream, []byte, []header.Field) error{
		"": func(st *Stream, p []byte, trailers []header.Field) error {
			defer st.Release()
			return st.Reply(status2(200), p, trailers)
		},
		" and released": func(st *Stream, p []byte, trailers []header.Field) error {
			return st.ReplyAndRelease(status2(200), p, trailers)
		},
	} {
		for _, tt := range tests {
			t.Run(tt.name+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newTestPeer(t, Config{})
					st := p.open(h2test.Get(1))
					body, trailers := []byte(tt.body), slices.Clone(tt.trailers)
					check(t, "Reply", reply(st, body, trailers))
					clear(body) // it was copied
					clear(trailers)
					p.c.Flush()
					p.want("the response", tt.want...)
					if n := p.c.Stats().Streams; n != 0 || st.c != nil {
						t.Errorf("%d streams are left, this one on %v", n, st.c)
					}
				})
			})
		}
	}
}

func TestReplyAndReleaseFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Get(1))
		st.Reset(frame.InternalError)
		var se *frame.StreamError
		if err := st.ReplyAndRelease(status2(200), []byte("hi"), nil); !errors.As(err, &se) || err != st.Err() {
			t.Errorf("on a stream that is dead: %v", err)
		}
		st.Release() // is still to be done
	})
}

func TestRequestBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		if st.RemoteEnded() {
			t.Error("the request has not ended")
		}
		buf := make([]byte, 4)
		read := func() (int, error) { return st.Read(buf) }
		k := p.start(read)
		k.wantWaiting("no DATA has come")
		p.send(h2test.Data(1, "abcdef"))
		k.want("DATA", 4, nil)
		p.start(read).want("the rest", 2, nil)
		k = p.start(read)
		p.send(frame.Data{StreamID: 1, Padded: true, PadLength: 20, Data: []byte("ghi")})
		k.want("padding is not read", 3, nil)
		k = p.start(read)
		p.send(h2test.Data(1, ""))
		k.wantWaiting("empty DATA is nothing to read")
		p.send(h2test.DataEnd(1, ""))
		k.want("END_STREAM", 0, io.EOF)
		p.start(read).want("the end stays", 0, io.EOF)
		if st.Trailers() != nil {
			t.Error("there are trailers")
		}
		st.Release()
	})
}

func TestReadOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		p.start(func() (int, error) { return st.Read(nil) }).want("Read of no octets does not wait", 0, nil)
		p.send(h2test.DataEnd(1, ""))
		p.start(func() (int, error) { return st.Read(nil) }).want("at the end", 0, io.EOF)
		st.Release()
	})
}

func TestTrailersOfRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		k := p.start(func() (int, error) {
			b, err := io.ReadAll(st)
			return len(b), err
		})
		p.send(h2test.Data(1, "abc"), h2test.Trailers(1, "x-sum: 6", "x-more: yes"))
		k.want("the trailers end the body", 3, nil)
		got := st.Trailers()
		if len(got) != 2 || got[0].Name != "x-sum" || got[1].Value != "yes" {
			t.Errorf("trailers are %v", got)
		}
		st.Release()
		p.c.Flush()
		p.want("nothing was answered", h2test.RST(1, frame.Cancel))
	})
}

func TestInterimResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		st := p.open(h2test.Post(1))
		check(t, "100", st.WriteHeaders(status2(100), false))
		check(t, "103", st.WriteHeaders(status2(103, "link", "</a>"), false))
		if err := st.WriteHeaders(status2(103), true); !errors.Is(err, core.ErrOrder) {
			t.Errorf("an interim response that ends the stream: %v", err)
		}
		if _, err := st.Write([]byte("x")); !errors.Is(err, core.ErrOrder) {
			t.Errorf("DATA before the final head: %v", err)
		}
		if err := st.Finish(nil, nil); !errors.Is(err, core.ErrOrder) {
			t.Errorf("the end before the final head: %v", err)
		}
		check(t, "final", st.WriteHeaders(status2(200), false))
		if err := st.WriteHeaders(status2(200), false); !errors.Is(err, core.ErrOrder) {
			t.Errorf("a second final head: %v", err)
		}
		p.send(h2test.DataEnd(1, ""))
		check(t, "Finish", st.Finish(nil, nil))
		if _, err := st.Write([]byte("x")); !errors.Is(err, core.ErrClosed) {
			t.Errorf("DATA after the end: %v", err)
		}
		if err := st.Finish(nil, nil); !errors.Is(err, core.ErrClosed) {
			t.Errorf("a second end: %v", err)
		}
		p.c.Flush()
		p.want(
			"the response",
			h2test.Response(1, 100),
			h2test.Response(1, 103).With("link: </a>"),
			h2test.Response(1, 200),
			h2test.DataEnd(1, ""),
		)
		st.Release()
		p.wantIdle("a clean end")
	})
}

// A call that was refused must not pass for our end of the stream.
func TestRefusedFinishIsNotTheEnd(t *testing.T) {
	calls := map[string]func(st *Stream) error{
		"Finish before the head": func(st *Stream) error { return st.Finish(nil, nil) },
		"interim with end":       func(st *Stream) error { return st.WriteHeaders(status2(103), true) },
		"interim Reply":          func(st *Stream) error { return st.Reply(status2(103), nil, nil) },
	}
	for name, f := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPeer(t, Config{})
				st := p.open(h2test.Get(1))
				if err := f(st); !errors.Is(err, core.ErrOrder) {
					t.Fatalf("error is %v", err)
				}
				st.Release()
				p.c.Flush()
				p.want("the stream was not finished", h2test.RST(1, frame.Cancel))
			})
		})
	}
}

func TestLargeHeaderBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{})
		long := strings.Repeat("^!~", 15000) // longer by Huffman's code than as it is
		h := h2test.Get(1).With("x-long: " + long)
		block := p.codec.Block(h.Fields...)
		p.send(
			frame.Headers{StreamID: 1, EndStream: true, Fragment: block[:10000]},
			frame.Continuation{StreamID: 1, Fragment: block[10000:26000]},
			frame.Continuation{StreamID: 1, Fragment: block[26000:40000]},
			frame.Continuation{StreamID: 1, Fragment: block[40000:], EndHeaders: true},
		)
		st := p.stream(1)
		if m := st.Message(); len(m.Fields) != 1 || m.Fields[0].Value != long {
			t.Error("the field has changed on its way")
		}
		check(t, "Reply", st.Reply(status2(200, "x-long", long), nil, nil))
		st.Release()
		p.c.Flush()
		p.want("the field has come back", h2test.Response(1, 200).With("x-long: "+long).End())
	})
}

func TestBodiesOfAllSizes(t *testing.T) {
	sizes := []int{
		1,
		63,
		chunkSmall - 1,
		chunkSmall,
		chunkSmall + 1,
		chunkMid,
		chunkMid + 1,
		chunkLarge,
		chunkLarge + 1,
		300_000,
	}
	synctest.Test(t, func(t *testing.T) {
		p := newTestPeer(t, Config{}, h2test.InitialWindow(1<<20))
		id := uint32(1)
		for _, size := range sizes {
			for _, piece := range []int{1 + size/100, 1000, 16384} {
				st := p.open(h2test.Post(id))
				body := pattern(id, size)
				for rest := body; ; {
					n := min(len(rest), piece)
					p.send(frame.Data{StreamID: id, Data: rest[:n], EndStream: n == len(rest)})
					if rest = rest[n:]; len(rest) == 0 {
						break
					}
				}
				got, err := io.ReadAll(st)
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("body of %d octets in pieces of %d: read %d, %v", size, piece, len(got), err)
				}
				st.Release()
				p.c.Flush()
				for range p.frames() { // WINDOW_UPDATE and RST_STREAM
				}
				id += 2
			}
		}
		if u := p.c.Stats().Unread; u != 0 {
			t.Errorf("%d octets count as unread", u)
		}
	})
}

// pattern returns n octets that differ from stream to stream and from place to place.
func pattern(id uint32, n int) []byte {
	b := make([]byte, n)
	x := id*2654435761 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}
