package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sluice-go/sluice/benchmarks/internal/lab"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// hello is what small requests get.
const hello = "Hello, World!"

// A site is nghttpd twice, in clear and with TLS, with the files that it serves.
type site struct {
	dir    string
	root   []byte // its certificate
	clear  *nghttpd
	secure *nghttpd
}

type nghttpd struct {
	cmd  *exec.Cmd
	addr string
}

// startSite starts the servers. The end of ctx kills them, too.
func startSite(ctx context.Context, c config) (_ *site, err error) {
	s := &site{}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	if s.dir, err = os.MkdirTemp("", "compareclient"); err != nil {
		return nil, err
	}
	// The large file has no contents, so that it needs no room on the disk.
	big := filepath.Join(s.dir, "large")
	if err := errors.Join(
		os.WriteFile(filepath.Join(s.dir, "hello"), []byte(hello), 0o600),
		os.WriteFile(big, nil, 0o600), os.Truncate(big, c.download),
	); err != nil {
		return nil, err
	}
	key, cert, err := s.writeCertificate()
	if err != nil {
		return nil, err
	}
	if s.clear, err = startNghttpd(ctx, c, s.dir, "--no-tls"); err != nil {
		return nil, err
	}
	s.secure, err = startNghttpd(ctx, c, s.dir, "", key, cert)
	return s, err
}

func (s *site) writeCertificate() (keyFile, certFile string, err error) {
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		return "", "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return "", "", err
	}
	s.root = cert.Certificate[0]
	keyFile, certFile = filepath.Join(s.dir, "key.pem"), filepath.Join(s.dir, "cert.pem")
	return keyFile, certFile, errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.root}), 0o600))
}

// startNghttpd starts one server, with option unless that is empty, and more
// behind the port.
func startNghttpd(ctx context.Context, c config, dir, option string, more ...string) (*nghttpd, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	// More streams than goroutines, so that one connection does for all.
	argv := append(lab.Pin(c.serverCPU), c.nghttpd, "--address=127.0.0.1", "--htdocs="+dir, "--max-concurrent-streams=1000")
	if option != "" {
		argv = append(argv, option)
	}
	argv = append(append(argv, strconv.Itoa(port)), more...)
	n := &nghttpd{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	n.cmd.Stderr = os.Stderr
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	if err := n.awaitStart(ctx); err != nil {
		n.stop()
		return nil, err
	}
	return n, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// awaitStart waits until the server takes connections.
func (n *nghttpd) awaitStart(ctx context.Context) error {
	const patience = 10 * time.Second
	for start := time.Now(); ; {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.addr)
		if err == nil {
			return nc.Close()
		}
		if ctx.Err() != nil || time.Since(start) > patience {
			return fmt.Errorf("nghttpd does not take connections: %w", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// cpu is what the server has used so far.
func (n *nghttpd) cpu() (time.Duration, error) { return lab.CPUOf(n.cmd.Process.Pid) }

func (n *nghttpd) stop() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait() // it was killed
}

// of returns the server for a scenario.
func (s *site) of(sc scenario) (_ *nghttpd, url string, root []byte) {
	path := "/hello"
	if sc.Download {
		path = "/large"
	}
	if sc.TLS {
		return s.secure, "https://" + s.secure.addr + path, s.root
	}
	return s.clear, "http://" + s.clear.addr + path, nil
}

// stop ends the servers and removes their files.
func (s *site) stop() {
	for _, n := range []*nghttpd{s.clear, s.secure} {
		if n != nil {
			n.stop()
		}
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
