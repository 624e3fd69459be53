package peerserver

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
)

// env is the variable that holds, in the environment of a child process, the Spec of its server.
const env = "SLUICE_COMPARE_SERVE"

// A Spec says which server a process is.
type Spec struct {
	Name       string `json:"name"`
	Cert       string `json:"cert,omitempty"` // file for TLS, without which it is h2c
	Key        string `json:"key,omitempty"`
	MaxStreams int    `json:"max_streams"` // SETTINGS_MAX_CONCURRENT_STREAMS
	Conns      int    `json:"conns"`       // at a time
}

// Setting returns the variable that the process needs in its environment.
func (s Spec) Setting() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: " + err.Error()) // a Spec has nothing that JSON cannot represent
	}
	return env + "=" + string(b)
}

// TLS returns the configuration for TLS, nil for h2c.
func (s Spec) TLS() (*tls.Config, error) {
	if s.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}}, nil
}

// A Greeting is what the process writes when it listens.
type Greeting struct {
	Addr string `json:"addr"`
	What string `json:"what"` // what runs, with versions
}

// A Command is an order to the process while it serves. It answers each with a Done.
type Command struct {
	Settle  bool   `json:"settle,omitempty"`  // collect garbage and give memory back
	Profile string `json:"profile,omitempty"` // begin a CPU profile in this file
	Stop    bool   `json:"stop,omitempty"`    // end the profile
}

// Done says how a Command went.
type Done struct {
	Problem string `json:"problem,omitempty"`
}

// A Server is one of the servers that are compared.
type Server struct {
	What  string                   // with versions
	Serve func(net.Listener) error // with TLS, if the Spec has it
	Close func() error
}

// Main runs a server, if this process was started as one, and reports whether it was: main then has
// nothing left to do.
func Main(servers map[string]func(Spec) (Server, error)) bool {
	setting, ok := os.LookupEnv(env)
	if !ok {
		return false
	}
	if err := serve(setting, servers, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "compare, as the server:", err)
		os.Exit(1)
	}
	return true
}

// serve greets, and then obeys a Command in each line of in, until in ends.
func serve(setting string, servers map[string]func(Spec) (Server, error), in io.Reader, out io.Writer) error {
	var spec Spec
	if err := json.Unmarshal([]byte(setting), &spec); err != nil {
		return err
	}
	newServer, ok := servers[spec.Name]
	if !ok {
		return fmt.Errorf("there is no server %q", spec.Name)
	}
	s, err := newServer(spec)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	enc := json.NewEncoder(out)
	if err := enc.Encode(Greeting{l.Addr().String(), s.What}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var c Command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		var d Done
		if err := c.obey(); err != nil {
			d.Problem = err.Error()
		}
		if err := enc.Encode(d); err != nil {
			return err
		}
	}
	err = s.Close()
	<-ended
	return err
}

func (c Command) obey() error {
	switch {
	case c.Settle:
		runtime.GC()
		runtime.GC() // frees what finalizers and pools kept through the first
		debug.FreeOSMemory()
	case c.Profile != "":
		f, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		return pprof.StartCPUProfile(f)
	case c.Stop:
		pprof.StopCPUProfile()
	}
	return nil
}
