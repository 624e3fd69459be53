package capture

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/sluice-go/sluice/capture/internal/wire"
	"github.com/sluice-go/sluice/frame"
	"github.com/sluice-go/sluice/internal/h2test"
)

// Where the beginning of a connection is missing, what its sides send says which is which, and not
// the ports alone.
func TestSidesOfMidway(t *testing.T) {
	request := h2test.Block{StreamID: 101, EndStream: true, Fields: h2test.Fields(":method: GET", ":path: /")}
	response := h2test.Block{StreamID: 101, Fields: h2test.Fields(":status: 200")}
	data := frame.Data{StreamID: 101, Data: make([]byte, 100)}
	for _, tt := range []struct {
		name              string
		client, server    string // as the assembler has them
		fromClient        []any
		fromServer        []any
		wantClient        string
		wantSent, wantGot wire.Dir // of what fromClient and fromServer are shown to be
	}{
		{
			"as they were taken", "192.0.2.1:50000", "192.0.2.2:40000",
			[]any{request, request},
			[]any{response, data},
			"192.0.2.1:50000", wire.Client, wire.Server,
		},
		{
			"the other way", "192.0.2.1:50000", "192.0.2.2:40000",
			[]any{response, data, data},
			[]any{request, request},
			"192.0.2.2:40000", wire.Server, wire.Client,
		},
		{
			"the other way with a well-known port", "192.0.2.1:50000", "192.0.2.2:80",
			[]any{response, data, data},
			[]any{request, request},
			"192.0.2.2:80", wire.Server, wire.Client,
		},
		{
			"a promise alone", "192.0.2.1:50000", "192.0.2.2:40000", []any{
				data, frame.PushPromise{StreamID: 101, PromisedID: 2, EndHeaders: true, Fragment: []byte{0x82}}, data,
			}, nil, "192.0.2.2:40000", wire.Server, wire.Client,
		},
		{
			"DATA alone, which says nothing", "192.0.2.1:50000", "192.0.2.2:40000",
			[]any{data, data, data, data},
			nil,
			"192.0.2.1:50000", wire.Client, wire.Server,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFeed(Options{})
			got := map[Dir]int{}
			head := ""
			f.show = func(e Event) string {
				switch e := e.(type) {
				case *Connection:
					head = fmt.Sprint(e.Client)
				case *Frame:
					got[e.Dir]++
				}
				return ""
			}
			f.s = f.a.open(netip.MustParseAddrPort(tt.client), netip.MustParseAddrPort(tt.server), f.now())
			f.s.info.StartMissing = true
			f.send(Client, tt.fromClient...)
			if tt.fromServer != nil {
				f.send(Server, tt.fromServer...)
			}
			f.end()
			want := map[Dir]int{}
			if n := len(tt.fromClient); n > 0 {
				want[Dir(tt.wantSent)] = n
			}
			if n := len(tt.fromServer); n > 0 {
				want[Dir(tt.wantGot)] = n
			}
			if head != tt.wantClient || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("the client is %s, frames by side are %v; want %s and %v", head, got, tt.wantClient, want)
			}
		})
	}
}

func TestRoleOfBlock(t *testing.T) {
	for _, tt := range []struct {
		block string
		want  role
	}{
		{"\x82", clientSide},
		{"\x41\x01a", clientSide},
		{"\x04\x01/", clientSide},
		{"\x88", serverSide},
		{"\x48\x03204", serverSide},
		{"\x08\x03204", serverSide},
		{"\x20\x3f\xe1\x1f\x88", serverSide}, // behind two sizes of the table
		{"\x3f\xe1", eitherSide},
		{"\xbe", eitherSide}, // of the dynamic table
		{"\x40\x01a\x01b", eitherSide},
		{"", eitherSide},
	} {
		if got := senderOfBlock([]byte(tt.block)); got != tt.want {
			t.Errorf("%x: %d, want %d", tt.block, got, tt.want)
		}
	}
}
