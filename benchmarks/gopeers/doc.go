// Command gopeers is servers in Go other than sluice's, for the command compare,
// which builds it, with more than one version of Go, and starts it: net/http,
// golang.org/x/net/http2, and dgrr/http2 with fasthttp. It is a module of its
// own, so that users of sluice do not download them.
//
// It is of no use by itself: which server it is to be comes in its environment
// (package peerserver).
//
// Limitations: dgrr/http2 v0.3.5 is the last version that the module proxy
// gives out. With large bodies it stalls (downloads) or resets streams
// (uploads), so it takes part in small requests only.
package main
