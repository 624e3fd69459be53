//go:build unix && !aix && !solaris && !linux

package socket

// mayWaitUnread returns false: on these systems the state of the socket is not asked for.
func mayWaitUnread(fd, limit int) bool { return false }
