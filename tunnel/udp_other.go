//go:build !linux

package tunnel

import "net"

// dontFragment does nothing: where the system has no option for it that package syscall knows, it
// fragments what is too long for the path.
func dontFragment(net.Conn) {}
