module github.com/sluice-go/sluice/benchmarks/gopeers

go 1.26.0

require (
	github.com/dgrr/http2 v0.3.5
	github.com/sluice-go/sluice v0.0.0
	github.com/valyala/fasthttp v1.34.0
	golang.org/x/net v0.62.0
)

require (
	github.com/andybalholm/brotli v1.3.0 // indirect
	github.com/icholy/digest v1.2.0 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fastrand v1.0.0 // indirect
	golang.org/x/text v0.44.0 // indirect
)

replace github.com/sluice-go/sluice => ../..
