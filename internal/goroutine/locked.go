package goroutine

import (
	"bytes"
	"runtime"
	"unsafe"
)

// LockedIsQuick says that Locked takes nanoseconds. Otherwise it takes microseconds.
var LockedIsQuick = lockedOffset != 0

// Locked reports whether the calling goroutine is locked to its thread (runtime.LockOSThread).
//
// The runtime says so nowhere but in the first line of a stack trace, which takes microseconds. So
// it is read from the field of the runtime's own struct of the goroutine (lockedm in
// runtime/runtime2.go), where that was found when the program started.
func Locked() bool {
	if lockedOffset != 0 {
		return *(*uintptr)(unsafe.Add(getg(), lockedOffset)) != 0
	}
	return lockedByTrace()
}

func lockedByTrace() bool {
	var buf [160]byte // the first line, which GOTRACEBACK=system makes longer
	line, _, _ := bytes.Cut(buf[:runtime.Stack(buf[:], false)], []byte("\n"))
	return bytes.Contains(line, []byte("locked to thread"))
}

// lockedOffset is where the struct of a goroutine has its field lockedm, in octets from the start;
// 0 where that is not known, and Locked asks for a stack trace.
var lockedOffset = findLocked()

// lockedSearch is how much of the struct is searched, in octets: less than it is large in all
// versions of Go that this module builds with.
const lockedSearch = 384

// findLocked looks for the only word of the struct that is zero unless the goroutine is locked, and
// says so again when that is tried once more.
func findLocked() uintptr {
	if getg() == nil {
		return 0
	}
	found := make(chan uintptr)
	go func() { // ends with its answer; the caller, in the initialisation of a program, is locked
		var at uintptr
		candidates := 0
		for offset := range lockedSearch / unsafe.Sizeof(at) {
			offset *= unsafe.Sizeof(at)
			if offset != 0 && tellsLock(offset) && tellsLock(offset) {
				at = offset
				candidates++
			}
		}
		if candidates != 1 {
			at = 0
		}
		found <- at
	}()
	return <-found
}

// tellsLock reports whether the word at offset tells a locked goroutine from one that is not, as
// the stack trace does, also with locks within locks.
func tellsLock(offset uintptr) bool {
	word := func() uintptr { return *(*uintptr)(unsafe.Add(getg(), offset)) }
	if word() != 0 {
		return false
	}
	runtime.LockOSThread()
	once := word()
	runtime.LockOSThread()
	twice := word()
	runtime.UnlockOSThread()
	still := word()
	runtime.UnlockOSThread()
	return once != 0 && twice == once && still == once && word() == 0
}
