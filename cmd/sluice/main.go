package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-go/sluice/cmd/sluice/internal/proxy"
	"github.com/sluice-go/sluice/cmd/sluice/internal/reverse"
	"github.com/sluice-go/sluice/cmd/sluice/internal/serve"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
)

func main() {
	os.Exit(run(untilSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// run runs the command with args and returns its exit status: 0 for success, 1
// or what the subcommand says for a failure, which it has reported on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return runWith(ctx, args, stdout, stderr, adjust{})
}

// adjust has functions that change the options of subcommands, for tests; they may be nil.
type adjust struct {
	proxy   func(*proxy.Options)
	reverse func(*reverse.Options)
}

// runWith is run with options that adjust changes.
func runWith(ctx context.Context, args []string, stdout, stderr io.Writer, adjust adjust) int {
	root := &cobra.Command{
		Use:           "sluice",
		Short:         "HTTP/2 in pure Go, from the command line",
		Version:       version(),
		SilenceUsage:  true, // an error is one sentence, not a page of flags
		SilenceErrors: true,
	}
	root.AddCommand(
		serveCommand(nil), proxyCommand(adjust.proxy), tunnelCommand(adjust.reverse), inspectCommand(), getCommand(),
	)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(stderr, "sluice:", err)
	}
	return exitStatus(err)
}

// exitStatus is the exit status for what a subcommand has returned: that which the error names,
// else 1.
func exitStatus(err error) int {
	var status interface{ ExitStatus() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return status.ExitStatus()
	default:
		return 1
	}
}

// serveCommand turns flags into serve.Options; adjust, if not nil, changes
// them before they are used.
func serveCommand(adjust func(*serve.Options)) *cobra.Command {
	o := serve.Defaults()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a demo site, or a directory, over HTTP/2 and HTTP/1.1",
		Example: `  sluice serve
  sluice serve --dir ./public --https :443 --cert fullchain.pem --key key.pem --http ""
  sluice serve --http 127.0.0.1:9000 --h2c-upgrade --verbose
  sluice serve --ui 127.0.0.1:8000
  sluice serve --record serve.pcapng`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Err, o.Version = cmd.OutOrStdout(), cmd.ErrOrStderr(), version()
			if o.Verbose && o.HTTPS != "" {
				o.Watch.KeyLog = os.Getenv("SSLKEYLOGFILE")
			}
			if adjust != nil {
				adjust(&o)
			}
			return serve.Run(cmd.Context(), o)
		},
	}
	serveFlags(cmd.Flags(), &o)
	watchFlags(cmd.Flags(), &o.Watch)
	return cmd
}

// serveFlags are the flags of the server itself.
func serveFlags(f *pflag.FlagSet, o *serve.Options) {
	f.StringVar(&o.HTTPS, "https", o.HTTPS, `address of the TLS listener; "" turns it off`)
	f.StringVar(&o.HTTP, "http", o.HTTP, `address of the cleartext listener; "" turns it off`)
	f.StringVar(&o.Dir, "dir", "", "serve this directory instead of the demo site")
	f.StringVar(&o.CertFile, "cert", "", "PEM file with the certificate chain (default: self-signed, made in memory)")
	f.StringVar(&o.KeyFile, "key", "", "PEM file with the private key of --cert")
	f.StringSliceVar(&o.Hosts, "host", nil, "a further name or address for the self-signed certificate (may be repeated)")
	f.BoolVar(&o.H2CUpgrade, "h2c-upgrade", false, `answer "Upgrade: h2c" on the cleartext listener (RFC 7540 §3.2)`)
	f.IntVar(
		&o.MaxStreams,
		"max-streams",
		0,
		"concurrent requests of a connection (default: the server's, see package server)",
	)
	f.IntVar(
		&o.MaxHeaderBytes,
		"max-header-bytes",
		0,
		"size of a request's header section in octets (default: the server's)",
	)
	f.DurationVar(&o.HeaderTimeout, "header-timeout", 0, "time for a request's header section (default: the server's)")
	f.DurationVar(
		&o.IdleTimeout,
		"idle-timeout",
		o.IdleTimeout,
		"time after which a connection without requests is closed; 0 is never",
	)
	f.DurationVar(&o.MaxAge, "max-age", 0, "age at which a connection is drained and closed; 0 is no limit")
	f.DurationVar(&o.Drain, "drain", o.Drain, "time that running requests have after Ctrl-C")
	f.BoolVarP(
		&o.Verbose,
		"verbose",
		"v",
		false,
		"log every request; with SSLKEYLOGFILE in the environment, append the keys of TLS to that file",
	)
}

// watchFlags are the flags that show and record what happens.
func watchFlags(f *pflag.FlagSet, o *watch.Options) {
	f.StringVar(
		&o.UI,
		"ui",
		"",
		"address for a live page of every frame, such as 127.0.0.1:8000; the address that is printed lets in",
	)
	f.BoolVar(&o.ShowSecrets, "show-secrets", false, "show passwords, cookies and tokens on the page of --ui")
	f.StringVar(
		&o.Record,
		"record",
		"",
		"record all connections in this file, with the keys of their TLS (pcapng; Wireshark opens it; mode 0600)",
	)
}

// version returns the module's version as the go command has recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
