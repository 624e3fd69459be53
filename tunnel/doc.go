// Package tunnel carries any traffic through HTTP: a forward proxy that opens tunnels with CONNECT,
// and the dialer that opens them, over HTTP/1.1 and HTTP/2.
//
// [Proxy] is the proxy, an http.Handler for a server.Server. By default it lets through CONNECT to
// port 443 of public addresses only; [Policy] decides otherwise:
//
//	rules, err := tunnel.ParseRules(file, "rules")
//	srv := &server.Server{Addr: ":8443", Handler: &tunnel.Proxy{Policy: rules}}
//	err = srv.ListenAndServeTLS("cert.pem", "key.pem")
//
// [Dialer] connects through a proxy, with CONNECT or SOCKS 5. Tunnels through a proxy that speaks
// HTTP/2 share connections:
//
//	d := &tunnel.Dialer{Proxy: proxyURL}
//	nc, err := d.DialContext(ctx, "tcp", "example.com:22")
//
// # What may be reached, and for which users
//
// [Rules] are the policy of a list of rules, and [PolicyFile] is that of a file, which may be read
// again at any time; Proxy.Explain says what they decide about a target. [Basic], [BasicFile],
// [DigestFile] and [ClientCert] find out which user asks, and [AnyOf] joins several of them. A
// [Record] says how a tunnel went.
//
// # More than tunnels
//
//   - Proxy.Upstream reaches targets through other proxies: see [UpstreamProxy].
//   - Proxy.UDP and Dialer.DialUDP carry datagrams (RFC 9298).
//   - An [Interceptor] ends the TLS of tunnels with certificates of a [CA], to see or change
//     what is in them.
//   - [ReverseInner] and [ReverseOuter] are the two sides of a reverse tunnel: the inner one,
//     behind a firewall, connects to the outer one, which is reached in its place.
//   - A [ProxyProtocolListener] takes the client's address from the load balancer in front.
package tunnel
