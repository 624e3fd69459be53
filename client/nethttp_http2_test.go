//go:build !nethttpomithttp2

package client

// netHTTPHasHTTP2 says that net/http is built with its HTTP/2.
const netHTTPHasHTTP2 = true
