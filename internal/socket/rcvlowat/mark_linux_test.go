package rcvlowat

import (
	"net"
	"testing"
	"testing/synctest"

	"github.com/sluice-go/sluice/internal/socket"
)

// The timer that all marks share must not belong to a bubble.
func TestNoMarkInABubble(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if New(socket.Of(nc)) == nil {
		t.Error("a TCP socket has no mark")
	}
	synctest.Test(t, func(t *testing.T) {
		if New(socket.Of(nc)) != nil {
			t.Error("a socket has a mark in a bubble")
		}
	})
}
