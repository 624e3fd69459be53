package conformance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// peerTimeout bounds one run of a peer program. The slowest, a browser's first start, takes a few
// seconds, and a minute on a processor that a dozen other programs keep busy.
const peerTimeout = 4 * time.Minute

// requirePeer returns the path of the first of the programs that is installed. Without any, the
// test is skipped; where the peers are promised (CI=true or SLUICE_REQUIRE_PEERS=1) it fails.
func requirePeer(t *testing.T, programs ...string) string {
	t.Helper()
	for _, p := range programs {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	peerMissing(t, strings.Join(programs, " or ")+" is not installed")
	return ""
}

// peerMissing ends a test for which this machine lacks a program or a feature of it.
func peerMissing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" || os.Getenv("SLUICE_REQUIRE_PEERS") == "1" {
		t.Fatalf("%s, and the environment requires all peers", reason)
	}
	t.Skipf("%s; install it, or set SLUICE_REQUIRE_PEERS=1 to make this a failure", reason)
}

// A peerRun is what a peer program left behind.
type peerRun struct {
	stdout, stderr string
	err            error // not nil when the program failed or ran out of time
}

// runPeer runs a peer program to its end. The program and all that it started are killed when the
// time is up.
func runPeer(t *testing.T, path string, args ...string) peerRun {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), peerTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// The user's proxies and configuration files are no part of the test.
	cmd.Env = append(os.Environ(), "no_proxy=*", "NO_PROXY=*", "LC_ALL=C")
	defer ownGroup(cmd)()
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Errorf("%s did not end within %v", path, peerTimeout)
	}
	return peerRun{stdout.String(), stderr.String(), err}
}

// mustRunPeer is runPeer for a program that has to succeed.
func mustRunPeer(t *testing.T, path string, args ...string) peerRun {
	t.Helper()
	r := runPeer(t, path, args...)
	if r.err != nil {
		t.Fatalf("%s %q: %v\nstdout:\n%s\nstderr:\n%s", path, args, r.err, clip(r.stdout), clip(r.stderr))
	}
	return r
}

// clip keeps the output of a program that a failure shows to a readable length.
func clip(s string) string {
	const most = 8 << 10
	if len(s) <= most {
		return s
	}
	return s[:most/2] + "\n[…]\n" + s[len(s)-most/2:]
}

// wantContains reports each of the texts that the output of what lacks.
func wantContains(t *testing.T, what, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("%s lacks %q:\n%s", what, text, clip(output))
		}
	}
}
