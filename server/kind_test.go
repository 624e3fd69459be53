package server

import (
	"testing"
	"time"

	"github.com/sluice-go/sluice/internal/memconn"
)

// testKind is what all ends are that a test has a Server on: see memconn.KindVariable.
var testKind = memconn.TestKind()

// anyLink is a connection to a Server, for clients that speak HTTP/2 at once. On TLS its handshake
// is over, and nothing is left for the Server to find out. A test in a bubble is skipped on TCP.
func anyLink(t testing.TB) memconn.Options {
	t.Helper()
	if testKind == memconn.TCP && inBubble() {
		t.Skip("it runs in a bubble of testing/synctest, where nothing waits for the kernel: see memconn.TCP")
	}
	return memconn.Options{Server: testKind}
}

// clearLink is anyLink for a test whose subject is what the Server finds out by itself.
func clearLink(t testing.TB) memconn.Options {
	t.Helper()
	if testKind == memconn.TLS || testKind == memconn.TCP {
		t.Skip("its subject is what a client says in the clear, or TLS as the Server itself makes it, on a Conn of memconn")
	}
	return memconn.Options{Server: testKind}
}

// needsClear skips a test whose subject is what a client says in the clear, or pushes: on TLS a
// Server pushes for https, and the clients here ask for http.
func needsClear(t testing.TB) {
	t.Helper()
	if testKind == memconn.TLS {
		t.Skip("its subject is what a client says in the clear, or what is pushed for http")
	}
}

// needsLargeReads skips a test whose subject is what is done with all that one Read has brought.
func needsLargeReads(t testing.TB) {
	t.Helper()
	if testKind == memconn.OneOctet {
		t.Skip("its subject is what is done with many frames of one Read: here a Read brings an octet")
	}
}

// inBubble reports whether the caller is in a bubble, whose clock begins with the year 2000.
func inBubble() bool { return time.Now().Year() < 2020 }

// pauseEnds reports whether read deadlines end a Read, and nothing else. net/http needs that for
// HTTP/1.1: behind each response, and for Hijack, it waits until a deadline in the past has ended
// the Read in which it looks out for the client's end.
func pauseEnds() bool {
	switch testKind {
	case memconn.NoDeadlines, memconn.IdleDeadlines, memconn.FatalTimeouts:
		return false
	}
	return true
}

// needsHTTP1 skips a test of HTTP/1.1 where net/http cannot do all of it.
func needsHTTP1(t *testing.T) {
	t.Helper()
	if !pauseEnds() {
		t.Skip("net/http, which serves HTTP/1.1, has to end a Read by a read deadline here")
	}
}

// closesAfter returns after how long a connection is closed that has d: where its deadlines do not
// work, netconn.CloseAfter closes it.
func closesAfter(d time.Duration) time.Duration {
	if testKind == memconn.NoDeadlines || testKind == memconn.IdleDeadlines {
		return d + d/8
	}
	return d
}
