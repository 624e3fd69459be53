// Package tunnel carries any traffic through HTTP: a forward proxy that opens tunnels with CONNECT,
// and the dialer that opens them, over HTTP/1.1 and HTTP/2.
//
// [Proxy] is the proxy, an http.Handler for a server.Server. By default it lets through CONNECT to
// port 443 of public addresses only; [Policy] decides otherwise.
package tunnel
