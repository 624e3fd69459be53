// Package httpfield knows the names of header fields in their two spellings, that of HTTP/2 and
// that of net/http's header maps, and finds one from the other without allocation where the name is
// common or was seen before.
//
// All functions may be called by any goroutine.
//
// Limitations: names that are neither common nor recent cost an allocation; what is remembered does
// not grow.
package httpfield
