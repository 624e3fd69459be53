//go:build unix && !aix && !solaris && !linux

package socket

// mayWaitUnread returns false: what peek_linux.go asks the socket, no system call answers here.
func mayWaitUnread(fd, limit int) bool { return false }
