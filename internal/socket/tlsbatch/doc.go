// Package tlsbatch lies between crypto/tls and its socket, and moves many TLS records with one
// system call, where crypto/tls alone makes one for each record of 16 KiB.
//
//  1. Package server or client makes a Conn of the socket (New), and crypto/tls shakes hands over
//     it. Where HTTP/2 is not spoken then, Remove takes the Conn out again.
//  2. Reading: behind a full record, Conn.Read reads up to 256 KiB ahead of crypto/tls. For a large
//     body, of which Expect says how much is to come, it sets the socket's low-water mark.
//  3. Writing: Encrypt has crypto/tls append its records to memory. The caller writes them to the
//     socket as it likes, without waiting if it must not, and calls Flushed.
//
// The methods of Conn may be called as crypto/tls calls them: Read by one goroutine at a time,
// Write under the lock of the tls.Conn. Expect is called by the reader of the connection, Encrypt
// and Flushed by its flusher.
package tlsbatch
