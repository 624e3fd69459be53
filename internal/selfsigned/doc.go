// Package selfsigned makes a TLS certificate in memory, so that a server can speak TLS without any
// file.
//
// It owns the making of one certificate that is its own issuer. It does not store, renew or trust
// it: a client either skips verification or puts the certificate into its own pool.
// Certificate may be called by any number of goroutines at once.
//
// Limitations: one key type (ECDSA P-256) and one lifetime.
package selfsigned
