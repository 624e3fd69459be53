package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	"github.com/sluice-go/sluice/benchmarks/internal/peerserver"
	"github.com/sluice-go/sluice/internal/selfsigned"
)

// The file that clients download.
const (
	largeFile = "64m"
	largeSize = 64 << 20
)

// A runner is what all rounds share.
type runner struct {
	config
	h2load        string            // version of h2load
	missing       map[string]string // peers that are not on this machine, and why
	failed        map[string]string // scenarios and peers that did not work, and why
	what          map[string]string // the programs that ran, with versions, by peer
	knownHalfRate float64           // what halfRate has measured; 0 before
	// framesBuilt is true when the benchmarks of frames have been built.
	framesBuilt bool
	dir         string // has the files below, and is removed at the end
	htdocs      string // directory with a file for each path of package peerserver
	cert, key   string // files for TLS, in PEM
	root        []byte // the certificate, which is its own root
	upload      string // file of 1 MiB that is uploaded
}

func newRunner(c config) (_ *runner, err error) {
	l := &runner{config: c, missing: map[string]string{}, failed: map[string]string{}, what: map[string]string{}}
	if l.h2load, err = h2loadVersion(); err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p.missing == nil {
			continue
		}
		if err := p.missing(); err != nil {
			l.missing[p.Name] = err.Error()
		}
	}
	if l.dir, err = os.MkdirTemp("", "sluice-compare-"); err != nil {
		return nil, err
	}
	if err := errors.Join(l.writeSite(), l.writeCertificate()); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *runner) close() { _ = os.RemoveAll(l.dir) } // an error leaves files in the system's temporary directory

// writeSite writes the files that servers of files serve.
func (l *runner) writeSite() error {
	l.htdocs = filepath.Join(l.dir, "htdocs")
	l.upload = filepath.Join(l.dir, "upload")
	file := func(name, contents string) error { return os.WriteFile(name, []byte(contents), 0o644) }
	large := func(name string, size int) error { return file(name, strings.Repeat(string(peerserver.Filler), size)) }
	return errors.Join(
		os.Mkdir(l.htdocs, 0o755), os.Chmod(l.dir, 0o755), // for servers that do not run as root
		file(filepath.Join(l.htdocs, "index.html"), peerserver.Answer),
		file(filepath.Join(l.htdocs, peerserver.Upload), peerserver.Answer),
		large(filepath.Join(l.htdocs, peerserver.MiB), 1<<20),
		large(filepath.Join(l.htdocs, peerserver.TenMiB), 10<<20),
		large(filepath.Join(l.htdocs, largeFile), largeSize),
		large(l.upload, 1<<20))
}

func (l *runner) writeCertificate() error {
	cert, err := selfsigned.Certificate("127.0.0.1")
	if err != nil {
		return err
	}
	l.root = cert.Certificate[0]
	l.cert, l.key, err = selfsigned.WriteFiles(l.dir, &cert)
	return err
}

// environment describes the machine.
func (l *runner) environment() map[string]string {
	env := map[string]string{
		"cpu":    fmt.Sprintf("%s, %d CPUs", bench.CPUModel(), runtime.NumCPU()),
		"system": runtime.GOOS + "/" + runtime.GOARCH,
		"go":     runtime.Version(),
		"h2load": l.h2load,
		"pinned": "nothing is pinned: peer and load share all CPUs",
	}
	if l.serverCPU >= 0 && l.loadCPU >= 0 {
		env["pinned"] = fmt.Sprintf("peer on CPU %d, load on CPU %d", l.serverCPU, l.loadCPU)
	}
	return env
}

// listAll prints what could be measured here.
func (l *runner) listAll() error {
	w := tabwriter.NewWriter(l.out, 0, 0, 2, ' ', 0)
	for _, s := range l.scenarios {
		fmt.Fprintf(w, "%s\t%s\n", s.Name, s.What)
	}
	fmt.Fprintln(w)
	for _, p := range peers {
		state := "there"
		if why := l.missing[p.Name]; why != "" {
			state = why
		}
		fmt.Fprintf(w, "%s\t%s\n", p.Name, state)
	}
	return w.Flush()
}
