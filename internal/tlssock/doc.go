// Package tlssock lies between crypto/tls and its socket, where crypto/tls alone makes a system call for each record of
// 16 KiB: it reads ahead when records follow each other, and does not wake up for each where a large body comes in.
//
// The methods of Conn may be called as crypto/tls does: Read by one goroutine at a time. Expect is for that
// goroutine, too.
package tlssock
