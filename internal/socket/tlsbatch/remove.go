package tlsbatch

import (
	"crypto/tls"
	"net"
	"reflect"
	"unsafe"
)

// Removable reports whether Remove works: whether a tls.Conn keeps the connection below it in the
// field that is expected. Where it does not, no Conn must be put below a tls.Conn whose NetConn the
// application may see.
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

// connOffset is the offset in a tls.Conn of the field that has the connection below it.
var connOffset uintptr

func connOf(tc *tls.Conn) *net.Conn {
	return (*net.Conn)(unsafe.Add(unsafe.Pointer(tc), connOffset))
}

// Remove takes the Conn below tc out, if there is one, so that tc lies on the socket. It is for a
// connection that does not speak HTTP/2: a handler may ask for its NetConn, and expects what the
// listener accepted. Which protocol is spoken is known only after the handshake, and crypto/tls has
// no way to replace the connection below it. Remove is called after the handshake, before
// ReadAhead, and while nothing else uses tc.
func Remove(tc *tls.Conn) {
	if c := Of(tc); c != nil && Removable {
		*connOf(tc) = c.Conn
	}
}
