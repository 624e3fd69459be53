//go:build go1.27 && !http2legacy

package main

// The same condition as in golang.org/x/net/http2.
const wrapped = "which wraps net/http's"
