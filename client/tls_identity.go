package client

import (
	"crypto/tls"
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// tlsIdentity returns a text that is equal for two connections with the same TLS configuration: the
// configuration's fields, in which functions, certificates and pools are their addresses in memory.
// It is empty without TLS, and "?" where crypto/tls keeps the configuration in an unknown way.
// There is no method that returns the configuration of a connection.
func tlsIdentity(nc any) string {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		return ""
	}
	p := reflect.ValueOf(tc).Elem().FieldByName("config")
	if !p.IsValid() || p.Type() != reflect.TypeFor[*tls.Config]() || p.IsNil() {
		return "?"
	}
	var b strings.Builder
	cfg := p.Elem()
	for i := range cfg.NumField() {
		f, kind := cfg.Field(i), cfg.Type().Field(i)
		switch {
		case !kind.IsExported() || kind.Name == "NextProtos":
		case f.Kind() == reflect.String:
			fmt.Fprintf(&b, "%q", f.String())
		default: // the words of memory, which are equal in copies of one configuration
			fmt.Fprintf(&b, "%x", unsafe.Slice((*byte)(unsafe.Pointer(f.UnsafeAddr())), kind.Type.Size()))
		}
		b.WriteByte(',')
	}
	return b.String()
}
