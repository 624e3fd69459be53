package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
)

// A profilable scenario can be run under a profile and under strace.
type profilable interface {
	profile(ctx context.Context, l *runner, p peer, file string) error
	straced(ctx context.Context, l *runner, p peer) (table []byte, err error)
}

// extra runs what is not part of any figure: rounds with a profile, and rounds
// under strace, which slows servers down.
func (l *runner) extra(ctx context.Context) error {
	if l.strace {
		if _, err := exec.LookPath("strace"); err != nil {
			return errors.New("strace is not installed (Debian: apt-get install strace)")
		}
	}
	if l.profiles != "" {
		if err := os.MkdirAll(l.profiles, 0o755); err != nil {
			return err
		}
	}
	for _, s := range l.scenarios {
		do, ok := s.do.(profilable)
		if _, timed := s.do.(latency); !ok || timed {
			continue // another scenario has the same load
		}
		for _, p := range l.peersOf(s) {
			if !p.calls {
				continue // the peer is not in Go
			}
			if err := l.extraOf(ctx, s.Name, do, p); err != nil {
				return fmt.Errorf("%s, %s: %w", s.Name, p.Name, err)
			}
		}
	}
	return nil
}

func (l *runner) extraOf(ctx context.Context, name string, do profilable, p peer) error {
	if l.profiles != "" {
		file := filepath.Join(l.profiles, name+"-"+strings.ReplaceAll(p.Name, "/", "-")+".pprof")
		if err := do.profile(ctx, l, p, file); err != nil {
			return err
		}
		fmt.Fprintln(l.progress, "wrote", file)
	}
	if l.strace {
		table, err := do.straced(ctx, l, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(l.out, "\nSystem calls of %s, %s (strace -c -f):\n\n```\n%s```\n", p.Name, name, table)
	}
	return nil
}

func (l *runner) straceFile() string { return filepath.Join(l.dir, "strace") }

// straceCommand returns a command line that counts the system calls of the command behind it.
func (l *runner) straceCommand() []string {
	return []string{"strace", "-c", "-f", "-o", l.straceFile()}
}

// profileRequests returns how many requests fill a profile, where n fill a round.
func (l *runner) profileRequests(n int) int {
	return max(n, int(float64(n)*l.profiled/l.seconds))
}

func (ld load) profile(ctx context.Context, l *runner, p peer, file string) error {
	srv, err := p.start(ctx, l, ld.need())
	if err != nil {
		return err
	}
	defer srv.stop()
	n, err := ld.warm(ctx, l, p, srv)
	if err != nil {
		return err
	}
	if err := srv.command(peerserver.Command{Profile: file}); err != nil {
		return err
	}
	if _, err := ld.run(ctx, l, srv.addr, l.profileRequests(n)); err != nil {
		return err
	}
	return srv.command(peerserver.Command{Stop: true})
}

func (ld load) straced(ctx context.Context, l *runner, p peer) (table []byte, err error) {
	srv, err := p.start(ctx, l, ld.need(), l.straceCommand()...)
	if err != nil {
		return nil, err
	}
	_, err = ld.warm(ctx, l, p, srv)
	srv.stop()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(l.straceFile())
}

func (cl clientLoad) profile(ctx context.Context, l *runner, p peer, file string) error {
	r, err := cl.start(ctx, l, p)
	if err != nil {
		return err
	}
	defer r.stop()
	n, err := cl.warm(l, p, r)
	if err != nil {
		return err
	}
	r.job.Profile = file
	_, err = r.do(l.profileRequests(n))
	return err
}

func (cl clientLoad) straced(ctx context.Context, l *runner, p peer) (table []byte, err error) {
	r, err := cl.start(ctx, l, p, l.straceCommand()...)
	if err != nil {
		return nil, err
	}
	_, err = cl.warm(l, p, r)
	r.stop()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(l.straceFile())
}
