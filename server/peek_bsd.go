//go:build unix && !aix && !solaris && !linux

package server

// mayContinue returns false: the state of the socket is not looked at on these systems.
func mayContinue(int) bool { return false }
