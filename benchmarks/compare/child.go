package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
	"github.com/sluice-go/sluice/server"
)

// serveEnv names, in the environment of a child process, the server that it is
// to be. The program starts itself again instead of building another one, so
// that both servers come from the same compiler with the same handler.
const serveEnv = "SLUICE_COMPARE_SERVE"

var answer = []byte("Hello, World!")

// hello is the handler under test: 13 bytes, and whatever fields the server
// adds by itself.
func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(answer) // a client that has gone makes h2load's count wrong
}

// serveAs is the child: it serves, tells its address in one line, and then
// answers each line of in with its lab.Usage, until in ends.
func serveAs(name string, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	serve, closeServer, err := newServer(name)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(l) }()
	fmt.Fprintln(out, l.Addr())
	enc := json.NewEncoder(out)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		u, err := lab.Use()
		if err != nil {
			return err
		}
		if err := enc.Encode(u); err != nil {
			return err
		}
	}
	err = closeServer()
	<-ended
	return err
}

func newServer(name string) (serve func(net.Listener) error, closeServer func() error, err error) {
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	switch name {
	case lab.Sluice:
		s := &server.Server{Handler: http.HandlerFunc(hello), Protocols: &h2c}
		return s.Serve, s.Close, nil
	case lab.NetHTTP:
		s := &http.Server{Handler: http.HandlerFunc(hello), Protocols: &h2c}
		return s.Serve, s.Close, nil
	}
	return nil, nil, fmt.Errorf("there is no server %q", name)
}
