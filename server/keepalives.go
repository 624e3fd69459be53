package server

import (
	"net/http"
	"reflect"
	"sync/atomic"
	"unsafe"
)

// keepAlivesOffset is the offset of the field in which http.Server keeps what SetKeepAlivesEnabled
// has set, 0 where it has no such field: then SetKeepAlivesEnabled(false) of a server after
// Configure ends connections of HTTP/1.1 alone. net/http's own HTTP/2 reads it through a method
// that is not exported, and there is no other way.
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
