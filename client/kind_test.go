package client

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// testKind is what all ends are that a test has a Transport on, and a Server: see
// memconn.KindVariable.
var testKind = memconn.TestKind()

// testLink is a connection of a Transport, to a Server or to a peer that a test plays.
var testLink = testLinkOf(memconn.Options{})

// testLinkOf is testLink with other options.
func testLinkOf(o memconn.Options) memconn.Options {
	o.Client, o.Server = testKind, testKind
	return o
}

// needsNoSockets skips a test in a bubble on TCP.
func needsNoSockets(t testing.TB) {
	t.Helper()
	if testKind == memconn.TCP && inBubble() {
		t.Skip("it runs in a bubble of testing/synctest, where nothing waits for the kernel: see memconn.TCP")
	}
}

// inBubble reports whether the caller is in a bubble, whose clock begins with the year 2000.
func inBubble() bool { return time.Now().Year() < 2020 }
