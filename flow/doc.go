// Package flow keeps the flow-control windows of HTTP/2 (RFC 9113 §5.2 and §6.9).
package flow
