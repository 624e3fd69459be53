// Package goroutine restores a goroutine that has run somebody else's code.
//
// Code that runs on a goroutine of its own, as a handler of net/http does, may leave things behind
// that belong to the goroutine and not to any variable: profiler labels (runtime/pprof), what a
// fault does (runtime/debug.SetPanicOnFault) and a lock to its thread (runtime.LockOSThread). A
// goroutine that runs one function after another must not carry them from one to the next. Labels
// and faults can be put back; a goroutine that is locked to a thread has to end, and its thread,
// whose state the code may have changed, ends with it.
package goroutine

import (
	"runtime/debug"
	"unsafe"
)

// Labels are the profiler labels of a goroutine: a reference that is compared and set again, never
// looked into.
type Labels struct{ p unsafe.Pointer }

// Package runtime gives package runtime/pprof its labels by these two functions, and keeps their
// names and types for others too (golang/go#67401). There is no exported way to read the labels of
// a goroutine.

//go:linkname runtimeLabels runtime/pprof.runtime_getProfLabel
func runtimeLabels() unsafe.Pointer

//go:linkname setRuntimeLabels runtime/pprof.runtime_setProfLabel
func setRuntimeLabels(unsafe.Pointer)

// CurrentLabels returns the labels of the calling goroutine.
func CurrentLabels() Labels { return Labels{runtimeLabels()} }

// Restore gives the calling goroutine the labels l, and the default for faults: to crash.
func Restore(l Labels) {
	if runtimeLabels() != l.p {
		setRuntimeLabels(l.p)
	}
	debug.SetPanicOnFault(false)
}
