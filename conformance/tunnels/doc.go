// Package tunnels proves that HTTP/2 runs on what programs use as a net.Conn that is no socket:
// channels of golang.org/x/crypto/ssh, TLS above them, streams of hashicorp/yamux, WebSockets of
// coder/websocket, and pipes to another process. It holds tests only, and is a module of its
// own, so that users of sluice do not download them.
//
// The deadlines of such connections are refused, do nothing, give errors of their own, or close
// the connection. Client and server are ours, or one of them is net/http's. Requests are
// answered, single ones cancelled, connections become idle, and Shutdown cuts no response.
//
// And it proves that WebSocket libraries (coder/websocket, gorilla/websocket, gobwas/ws) work
// unchanged over HTTP/2, each as server with each as client, and in Chromium.
//
// Run it with: cd conformance/tunnels && go test ./...
package tunnels
