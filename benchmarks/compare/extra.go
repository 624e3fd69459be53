package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/site"
)

// extra runs what is not part of any figure: rounds with a profile, and rounds
// under strace, which slows servers down.
func (l *laboratory) extra(ctx context.Context) error {
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
		ld, ok := s.do.(load)
		if !ok {
			continue
		}
		for _, p := range l.peersOf(s) {
			if !p.calls {
				continue // not in Go
			}
			if err := l.extraOf(ctx, s.Name, ld, p); err != nil {
				return fmt.Errorf("%s, %s: %w", s.Name, p.Name, err)
			}
		}
	}
	return nil
}

func (l *laboratory) extraOf(ctx context.Context, name string, ld load, p peer) error {
	if l.profiles != "" {
		file := filepath.Join(l.profiles, name+"-"+strings.ReplaceAll(p.Name, "/", "-")+".pprof")
		if err := l.profile(ctx, ld, p, file); err != nil {
			return err
		}
		fmt.Fprintln(l.progress, "wrote", file)
	}
	if l.strace {
		table, err := l.straced(ctx, ld, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(l.out, "\nSystem calls of %s, %s (strace -c -f):\n\n```\n%s```\n", p.Name, name, table)
	}
	return nil
}

func (l *laboratory) profile(ctx context.Context, ld load, p peer, file string) error {
	srv, err := p.start(ctx, l, ld.need())
	if err != nil {
		return err
	}
	defer srv.stop()
	n, err := ld.warm(ctx, l, p, srv)
	if err != nil {
		return err
	}
	if err := srv.command(site.Command{Profile: file}); err != nil {
		return err
	}
	if _, err := ld.run(ctx, l, srv.addr, n); err != nil {
		return err
	}
	return srv.command(site.Command{Stop: true})
}

func (l *laboratory) straced(ctx context.Context, ld load, p peer) (table []byte, err error) {
	file := filepath.Join(l.dir, "strace")
	srv, err := p.start(ctx, l, ld.need(), "strace", "-c", "-f", "-o", file)
	if err != nil {
		return nil, err
	}
	_, err = ld.warm(ctx, l, p, srv)
	srv.stop()
	if err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}
