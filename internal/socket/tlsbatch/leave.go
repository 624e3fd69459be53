package tlsbatch

import (
	"crypto/tls"
	"net"
	"reflect"
	"unsafe"
)

// Removable reports whether Leave works: whether crypto/tls keeps what it lies on in the way that
// we know. Where it does not, a Conn whose NetConn a program may see must not be made at all.
var Removable = func() bool {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName("conn")
	if !ok || f.Type != reflect.TypeFor[net.Conn]() {
		return false
	}
	connOffset = f.Offset
	a, b := new(net.TCPConn), new(net.TCPConn)
	tc := tls.Server(a, &tls.Config{}) //nolint:gosec // it never shakes hands
	*connOf(tc) = b
	return tc.NetConn() == b
}()

// connOffset is where a tls.Conn keeps what it lies on.
var connOffset uintptr

func connOf(tc *tls.Conn) *net.Conn {
	return (*net.Conn)(unsafe.Add(unsafe.Pointer(tc), connOffset))
}

// Leave has tc, if it lies on a Conn, lie on the socket below that from now on. It is for a
// connection over which HTTP/2 is not spoken: a handler may ask for its NetConn, and expects what
// the listener accepted, but which protocol is spoken is known when the handshake is over, and
// crypto/tls has no way to change what it lies on. Leave is called after the handshake, before
// ReadAhead, and while nothing else uses tc.
func Leave(tc *tls.Conn) {
	if c := Of(tc); c != nil && Removable {
		*connOf(tc) = c.Conn
	}
}
