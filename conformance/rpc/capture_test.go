package rpc

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-go/sluice/capture"
	"github.com/sluice-go/sluice/server"
)

// What package capture shows of a call of grpc-go: its method, its status, and each message as
// grpc-go has made it, whether it was compressed on the wire or not.
func TestCaptureGRPC(t *testing.T) {
	for _, compressed := range []bool{false, true} {
		var mu sync.Mutex // guards what follows
		var messages [2][][]byte
		var requests []*capture.Request
		decoder := &capture.ContentDecoder{Handler: func(c *capture.Content) {
			for _, m := range c.Messages {
				if m.Err != nil || m.Compressed != compressed {
					t.Errorf("a message of the %s: compressed %v, %v", c.Dir, m.Compressed, m.Err)
				}
				messages[c.Dir] = append(messages[c.Dir], bytes.Clone(m.Octets))
			}
			if c.Err != nil {
				t.Errorf("content of the %s: %v", c.Dir, c.Err)
			}
		}}
		live := &capture.Live{Options: capture.Options{Bodies: true}, Handler: func(e capture.Event) {
			mu.Lock()
			defer mu.Unlock()
			decoder.Event(e)
			if r, ok := e.(*capture.Request); ok {
				requests = append(requests, r)
			}
		}}
		addr := startOurs(t, false, newGRPCServer(new(echo)), func(s *server.Server) { s.Tracer = live })
		var opts []grpc.DialOption
		if compressed {
			opts = append(opts, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
		}
		client := dialGRPC(t, addr, false, opts...)
		big := bytes.Repeat([]byte("many alike "), 10_000)
		if got, err := client.say(t.Context(), big, ""); err != nil || !bytes.Equal(got.body, big) {
			t.Fatalf("say: %d octets, %v", len(got.body), err)
		}
		if err := client.count(t.Context(), 3, func(int64) {}); err != nil {
			t.Fatal(err)
		}
		if err := client.fail(t.Context(), "as asked"); err == nil {
			t.Fatal("a call that fails has not")
		}
		_ = client.cc.Close()
		live.Close()
		mu.Lock()
		want := [2][][]byte{
			capture.Client: encoded(t, wrapperspb.Bytes(big), wrapperspb.Int64(3), wrapperspb.String("as asked")),
			capture.Server: encoded(t, wrapperspb.Bytes(big), wrapperspb.Int64(1), wrapperspb.Int64(2), wrapperspb.Int64(3)),
		}
		if diff := cmp.Diff(want, messages); diff != "" {
			t.Errorf("compressed %v: messages, -want +got:\n%s", compressed, diff)
		}
		var calls []string
		for _, r := range requests {
			calls = append(calls, r.Path)
			wantStatus := 0
			if r.Path == procedure("Fail") {
				wantStatus = int(failCode)
			}
			if g := r.GRPC; g == nil || g.Status != wantStatus {
				t.Errorf("%s: gRPC %+v, want status %d", r.Path, g, wantStatus)
			}
		}
		slices.Sort(calls)
		if diff := cmp.Diff([]string{procedure("Count"), procedure("Fail"), procedure("Say")}, calls); diff != "" {
			t.Error(diff)
		}
		mu.Unlock()
	}
}

// encoded is the messages as they are on the wire, without prefix and coding.
func encoded(t *testing.T, messages ...proto.Message) (list [][]byte) {
	t.Helper()
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}
