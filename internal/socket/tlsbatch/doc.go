// Package tlsbatch lies between crypto/tls and its socket, where crypto/tls alone makes a system
// call for each record of 16 KiB: it reads ahead when records follow each other, and does not wake
// up for each where a large body comes in, and it hands over what is to be sent as one piece, which
// the owner of the connection writes as it likes, without waiting for the socket if it must not.
//
// The methods of Conn may be called as crypto/tls does: Read by one goroutine at a time, Write by
// any that has its lock. Expect is for the goroutine that reads, Seal and Sent for the one that
// writes.
package tlsbatch
