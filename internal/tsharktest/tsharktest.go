// Package tsharktest has what all tests need that ask tshark for its judgement.
package tsharktest

import (
	"bufio"
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// firstPort is the first port that a test's connection may have at either end.
const firstPort = 1024

// Args returns arguments by which tshark does not know protocols by their ports, other than TLS and
// HTTP: a connection of a test has any port, and with 34980, for example, it is one of EtherCAT for
// tshark.
func Args(tb testing.TB) []string {
	tb.Helper()
	args, err := arguments()
	if err != nil {
		tb.Fatalf("tshark -G decodes: %v", err)
	}
	return args
}

var arguments = sync.OnceValues(func() (args []string, err error) {
	out, err := exec.Command("tshark", "-G", "decodes").Output() // lines of selector, port and protocol
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{"http": true, "tls": true}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		f := strings.Split(s.Text(), "\t")
		if len(f) != 3 || f[0] != "tcp.port" || seen[f[2]] {
			continue
		}
		if port, err := strconv.Atoi(f[1]); err == nil && port >= firstPort {
			seen[f[2]] = true
			args = append(args, "--disable-protocol", f[2])
		}
	}
	return args, nil
})
