package capture

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// grpcMessage is a message of n octets with its prefix.
func grpcMessage(flags byte, n int) string {
	b := binary.BigEndian.AppendUint32([]byte{flags}, uint32(n))
	return string(b) + strings.Repeat("m", n)
}

func TestGRPC(t *testing.T) {
	call := func(kind string) h2test.Block {
		return h2test.Request(1, "POST", "/p.S/M", "content-type: "+kind, "grpc-encoding: gzip")
	}
	ok := h2test.Response(1, 200, "content-type: application/grpc+proto", "grpc-encoding: zstd")
	three := grpcMessage(0, 3) + grpcMessage(1, 300) + grpcMessage(0, 0)
	for _, tt := range []struct {
		name string
		play func(p *played)
		want *GRPC
	}{
		{"a stream of messages, cut anywhere", func(p *played) {
			p.send(Client, call("application/grpc"))
			for i := range len(three) {
				p.send(Client, h2test.Data(1, three[i:i+1]))
			}
			p.send(Client, h2test.DataEnd(1, ""))
			p.send(Server, ok, h2test.Data(1, three+three[:2]), h2test.Data(1, three[2:]+grpcMessage(0, 9)[:8]))
			p.send(Server, h2test.Trailers(1, "grpc-status: 5", "grpc-message: not%20found: %C3%BC 100%"))
		}, &GRPC{
			Method: "/p.S/M", Messages: [2][]int64{{3, 300, 0}, {3, 300, 0, 3, 300, 0, 9}}, Count: [2]int64{3, 7},
			Compressed: [2]int64{1, 2}, Encoding: [2]string{"gzip", "zstd"}, Partial: [2]int64{0, 8},
			Status: 5, Message: "not found: ü 100%",
		}},
		{"Trailers-Only", func(p *played) {
			p.send(Client, call("application/grpc+json").End())
			fields := []string{"content-type: application/grpc", "grpc-status: 12", "grpc-message: no"}
			p.send(Server, h2test.Response(1, 200, fields...).End())
		}, &GRPC{Method: "/p.S/M", Encoding: [2]string{"gzip", ""}, Status: 12, Message: "no"}},
		{"a page of a proxy", func(p *played) {
			p.send(Client, call("application/grpc"), h2test.DataEnd(1, grpcMessage(0, 3)))
			p.send(Server, h2test.Response(1, 502, "content-type: text/html"), h2test.DataEnd(1, "<html>"))
		}, &GRPC{
			Method: "/p.S/M", Messages: [2][]int64{{3}, nil}, Count: [2]int64{1, 0}, Encoding: [2]string{"gzip", ""},
			Status: -1,
		}},
		{"reset", func(p *played) {
			p.send(Client, call("application/grpc; x=y"), h2test.Data(1, three[:3]), h2test.RST(1, frame.Cancel))
		}, &GRPC{Method: "/p.S/M", Encoding: [2]string{"gzip", ""}, Partial: [2]int64{3, 0}, Status: -1}},
		{"octets lost within a message", func(p *played) {
			p.send(Client, call("application/grpc"), h2test.Data(1, grpcMessage(0, 20)[:10]))
			p.s.content(Client, p.now, 1, []byte("mmmmm"+three), 10)
			p.send(Client, h2test.RST(1, frame.Cancel))
		}, &GRPC{
			Method: "/p.S/M", Messages: [2][]int64{{20, 3, 300, 0}}, Count: [2]int64{4, 0}, Compressed: [2]int64{1, 0},
			Encoding: [2]string{"gzip", ""}, Status: -1,
		}},
		{"a prefix lost", func(p *played) {
			p.send(Client, call("application/grpc"), h2test.Data(1, three))
			p.s.content(Client, p.now, 1, []byte(three), 10)
			p.send(Client, h2test.RST(1, frame.Cancel))
		}, &GRPC{
			Method: "/p.S/M", Messages: [2][]int64{{3, 300, 0}}, Count: [2]int64{3, 0}, Compressed: [2]int64{1, 0},
			Encoding: [2]string{"gzip", ""}, Status: -1,
		}},
		{"gRPC-Web", func(p *played) {
			p.send(Client, call("application/grpc-web+proto"), h2test.DataEnd(1, grpcMessage(0, 1)))
			p.send(Server, h2test.Response(1, 200, "content-type: application/grpc-web+proto"))
			p.send(Server, h2test.Data(1, grpcMessage(0, 2)+"\x80\x00\x00\x00\x10grpc-"), h2test.DataEnd(1, "status: 3\r\n"))
		}, &GRPC{
			Method: "/p.S/M", Messages: [2][]int64{{1}, {2}}, Count: [2]int64{1, 1}, Encoding: [2]string{"gzip", ""},
			Status: 3, Web: true,
		}},
		{"gRPC-Web in base64", func(p *played) {
			p.send(Client, call("application/grpc-web-text"), h2test.DataEnd(1, "AAAAAAA="))
			p.send(Server, h2test.Response(1, 200).End())
		}, &GRPC{Method: "/p.S/M", Encoding: [2]string{"gzip", ""}, Status: -1, Web: true}},
		{"none", func(p *played) {
			p.send(Client, call("application/grpcish").End())
			p.send(Server, h2test.Response(1, 200, "grpc-status: 0").End())
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := http2Played(t, Options{})
			tt.play(p)
			p.s.end(p.now, wire.Open)
			requests := p.requests()
			if len(requests) != 1 {
				t.Fatalf("%d requests, want 1", len(requests))
			}
			if diff := cmp.Diff(tt.want, requests[0].GRPC); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPercentDecode(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "%41%c3%9c": "AÜ", "100%": "100%", "%4": "%4", "%zz%41": "%zzA", "%+1": "%+1",
	} {
		if got := percentDecode(in); got != want {
			t.Errorf("percentDecode(%q) = %q, want %q", in, got, want)
		}
	}
}
