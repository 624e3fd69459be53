package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluice-go/sluice/benchmarks/internal/bench"
	peerfiles "github.com/sluice-go/sluice/benchmarks/peers"
)

// cacheDir returns the directory in which built peers stay from one run to the next.
func cacheDir(elem ...string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(append([]string{dir, "sluice-benchmarks"}, elem...)...)
	return dir, os.MkdirAll(dir, 0o755)
}

// output runs a command, and returns what it has printed with its error.
func output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, lines[len(lines)-1])
	}
	return out, nil
}

// sourceDir returns the checkout that this program is run in.
func sourceDir(ctx context.Context) (string, error) {
	top, err := output(exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sluice-go/sluice"))
	if err != nil {
		return "", fmt.Errorf("the source is not here (run this in a checkout): %w", err)
	}
	return strings.TrimSpace(string(top)), nil
}

// A goPeer is a server of the module benchmarks/gopeers, built with a version of Go, or with that
// of this program if toolchain is empty.
type goPeer struct{ name, toolchain string }

func (r goPeer) file() (string, error) {
	dir, err := cacheDir("gopeers")
	return filepath.Join(dir, "gopeers-"+r.toolchain), err
}

// build builds the server, which takes no time when nothing has changed.
func (r goPeer) build(ctx context.Context, _ *runner) error {
	file, err := r.file()
	if err != nil {
		return err
	}
	top, err := sourceDir(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", file, ".")
	cmd.Dir = filepath.Join(top, "benchmarks", "gopeers")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if r.toolchain != "" {
		cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+r.toolchain)
	}
	_, err = output(cmd)
	return err
}

func (r goPeer) start(ctx context.Context, l *runner, n need, wrap ...string) (*running, error) {
	file, err := r.file()
	if err != nil {
		return nil, err
	}
	return startChild(ctx, l, r.name, n, wrap, file)
}

// hyperPeer is the server in Rust.
type hyperPeer struct{}

// cargo looks where rustup puts it, too, which may not be in PATH.
func (hyperPeer) cargo() (string, error) {
	if path, err := exec.LookPath("cargo"); err == nil {
		return path, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return exec.LookPath(filepath.Join(home, ".cargo", "bin", "cargo"))
}

func (h hyperPeer) missing() error {
	if _, err := h.cargo(); err != nil {
		return errors.New("cargo, which builds it, is not installed")
	}
	return nil
}

func (hyperPeer) file() (string, error) {
	dir, err := cacheDir("hyper")
	return filepath.Join(dir, "target", "release", "hyper-peer"), err
}

// debianCrates is where Debian's packages of Rust libraries have their source.
const debianCrates = "/usr/share/cargo/registry"

// build copies the source to the cache, so that cargo writes nothing into the
// checkout, and builds it there.
func (h hyperPeer) build(ctx context.Context, _ *runner) error {
	dir, err := cacheDir("hyper")
	if err != nil {
		return err
	}
	if err := copyNew(peerfiles.Files, "hyper", dir); err != nil {
		return err
	}
	cargo, err := h.cargo()
	if err != nil {
		return err
	}
	args := []string{"build", "--release", "--quiet", "--target-dir", filepath.Join(dir, "target")}
	if found, _ := filepath.Glob(debianCrates + "/hyper-0.14*"); len(found) > 0 {
		args = append(args, "--offline", "--config", `source.crates-io.replace-with="debian"`,
			"--config", `source.debian.directory="`+debianCrates+`"`)
	}
	cmd := exec.CommandContext(ctx, cargo, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CARGO_NET_RETRY=0", "CARGO_HTTP_TIMEOUT=10",
		"PATH="+filepath.Dir(cargo)+string(os.PathListSeparator)+os.Getenv("PATH"))
	if _, err := output(cmd); err != nil {
		return fmt.Errorf(
			"its crates could not be had or built (Debian has them: librust-hyper-dev, librust-tokio-dev): %w",
			err,
		)
	}
	return nil
}

// copyNew copies files whose contents have changed, so that those that have not
// are not built again.
func copyNew(from fs.FS, root, to string) error {
	return fs.WalkDir(from, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(name, root)))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		if old, err := os.ReadFile(target); err == nil && string(old) == string(b) {
			return nil
		}
		return os.WriteFile(target, b, 0o644)
	})
}

func (h hyperPeer) start(ctx context.Context, l *runner, n need, _ ...string) (*running, error) {
	file, err := h.file()
	if err != nil {
		return nil, err
	}
	port, err := bench.FreePort()
	if err != nil {
		return nil, err
	}
	return l.startProgram(
		ctx,
		bench.Command(ctx, l.serverCPU, file, strconv.Itoa(port), strconv.Itoa(n.MaxStreams)),
		port,
		h.what(),
	)
}

// what reads the version that was built.
func (hyperPeer) what() string {
	const unknown = "hyper"
	dir, err := cacheDir("hyper")
	if err != nil {
		return unknown
	}
	b, err := os.ReadFile(filepath.Join(dir, "Cargo.lock"))
	if err != nil {
		return unknown
	}
	_, rest, ok := strings.Cut(string(b), "name = \"hyper\"\nversion = \"")
	version, _, ok2 := strings.Cut(rest, "\"")
	if !ok || !ok2 {
		return unknown
	}
	return "hyper " + version + " (Rust), one thread"
}
