package conn

import (
	"net"

	"github.com/sluice-go/sluice/conn/core"
)

// Server is the server's side of an HTTP/2 connection. Its methods beside those of Conn are for
// what only a server does.
type Server struct {
	Conn
}

// NewServer returns the server's side of an HTTP/2 connection on nc, which it closes at its end.
// Serve or Start runs it.
func NewServer(nc net.Conn, cfg Config, h Handler) *Server {
	s := new(Server)
	s.init(nc, cfg, h, core.Server)
	return s
}
