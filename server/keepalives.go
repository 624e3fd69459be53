package server

import (
	"net/http"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// keepAlivesOffset is where http.Server keeps what SetKeepAlivesEnabled was told, 0 where it keeps
// that in another way than we know: then SetKeepAlivesEnabled(false) of a server after Configure
// ends connections of HTTP/1.1 alone. net/http tells its own HTTP/2 by a method that is not
// exported; there is no other way to learn of it.
var keepAlivesOffset = func() uintptr {
	f, ok := reflect.TypeFor[http.Server]().FieldByName("disableKeepAlives")
	if !ok || f.Type != reflect.TypeFor[atomic.Bool]() {
		return 0
	}
	return f.Offset
}()

// keepAlivesDisabled reports whether hs.SetKeepAlivesEnabled(false) was called last.
func keepAlivesDisabled(hs *http.Server) bool {
	if keepAlivesOffset == 0 {
		return false
	}
	return (*atomic.Bool)(unsafe.Add(unsafe.Pointer(hs), keepAlivesOffset)).Load()
}
