// Package tlsrecord decrypts TLS 1.2 and TLS 1.3 with the secrets of a key log.
package tlsrecord
