//go:build unix && !aix && !solaris && !linux

package socket

// mayWaitUnread returns false: what peek_linux.go finds out about the socket is not implemented
// here.
func mayWaitUnread(fd, limit int) bool { return false }
