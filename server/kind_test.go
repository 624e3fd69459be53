package server

import (
	"github.com/sluice-go/sluice/internal/memconn"
)

// testKind is what all ends are that a test has a Server on: see memconn.KindVariable.
var testKind = memconn.TestKind()

// testLink is a connection to a Server.
var testLink = memconn.Options{Server: testKind}
