// Package tcpstream puts TCP segments in order, and says which octets are missing.
package tcpstream
