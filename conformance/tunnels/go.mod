module github.com/sluice-go/sluice/conformance/tunnels

go 1.26.0

require (
	github.com/coder/websocket v1.8.15
	github.com/elazarl/goproxy v1.9.4
	github.com/gobwas/ws v1.5.0
	github.com/gorilla/websocket v1.5.3
	github.com/hashicorp/yamux v0.1.2
	github.com/sluice-go/sluice v0.0.0
	golang.org/x/crypto v0.59.0
	golang.org/x/net v0.62.0
)

require (
	github.com/dunglas/httpsfv v1.1.2 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/icholy/digest v1.2.0 // indirect
	github.com/pires/go-proxyproto v0.15.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace github.com/sluice-go/sluice => ../..
