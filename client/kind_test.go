package client

import (
	"github.com/sluice-go/sluice/internal/memconn"
)

// testKind is what all ends are that a test has a Transport on, and a Server: see memconn.KindVariable.
var testKind = memconn.TestKind()

// testLink is a connection of a Transport, to a Server or to a peer that a test plays.
var testLink = testLinkOf(memconn.Options{})

// testLinkOf is testLink with other options.
func testLinkOf(o memconn.Options) memconn.Options {
	o.Client, o.Server = testKind, testKind
	return o
}
