// Package tlsrecord decrypts TLS 1.2 and TLS 1.3 with the secrets of a key log.
//
// A [Conn] takes the octets of a TCP connection as a wire.Sink, and hands the plaintext on to
// another one. It verifies the authentication of each record: what it hands on is what was sent.
//
// What it does per record:
//
//  1. half.feed finds a record in the octets (record.go), in whatever pieces they come.
//  2. Conn.process says what it is: a message of the handshake in the clear, or encrypted.
//  3. open12 and open13 decrypt it, and change the keys where the handshake does.
//  4. Messages of the handshake go to Conn.message, data to the Sink.
//
// A direction waits, its octets held in Conn.held, while it needs what the other direction has not
// shown yet, or a secret that may still come. After a loss, half.scan looks for the next record
// that a key of the connection opens, whatever its sequence number; so nothing is made up.
//
// The number of octets that are lost is that of data if no alert, KeyUpdate or renegotiation is
// lost with them: their records look the same.
//
// Limitations: SSL 3.0, TLS 1.0, TLS 1.1, drafts of TLS 1.3 and DTLS are not decrypted; nor are
// cipher suites with a stream cipher, CCM, Camellia or ARIA.
//
// A Conn and its Keys belong to one goroutine.
package tlsrecord
