package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-go/sluice/cmd/sluice/internal/reverse"
)

// tunnelCommand turns flags into reverse.Options; adjust, if not nil, changes them before they are
// used.
func tunnelCommand(adjust func(*reverse.Options)) *cobra.Command {
	o := reverse.Defaults()
	cmd := &cobra.Command{
		Use:   "tunnel",
		Short: "Reach into a network that cannot be dialled: one side of a reverse tunnel",
		Long: `Reach into a network that cannot be dialled: one side of a reverse tunnel.

The inner side (--reverse) dials the outer side and serves what --allow lists,
nothing else. The outer side (--accept) listens for clients, and sends what they
say through the inner sides that are connected: to one target by --listen, or to
all that the inner side allows by --proxy. Both have the same token.`,
		Example: `  sluice tunnel --accept :8443 --cert cert.pem --key key.pem --token-file token \
    --listen 127.0.0.1:2222=db.internal:22
  sluice tunnel --accept :8443 --cert cert.pem --key key.pem --token-file token \
    --proxy 127.0.0.1:3128
  sluice tunnel --reverse --to https://outer.example:8443 --token-file token --allow db.internal:22`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			o.Reload = reload
			if adjust != nil {
				adjust(&o)
			}
			return reverse.Run(cmd.Context(), o)
		},
	}
	tunnelFlags(cmd.Flags(), &o)
	return cmd
}

// tunnelFlags are the flags of both sides, of the inner and of the outer one.
func tunnelFlags(f *pflag.FlagSet, o *reverse.Options) {
	f.StringVar(&o.TokenFile, "token-file", "", "file with the token of both sides, 16 characters or more")
	f.DurationVar(&o.Drain, "drain", o.Drain, "time that tunnels have after Ctrl-C")
	f.DurationVar(
		&o.IdleTimeout,
		"tunnel-idle-timeout",
		0,
		"time after which a tunnel that carries nothing ends; 0 is never",
	)
	f.StringVar(&o.Audit, "audit", "", `file for a line of JSON for each tunnel; "-" is the standard output`)
	f.BoolVar(&o.UDP, "udp", false, "carry UDP too (RFC 9298): give it at both sides, and --proxy at the outer one")
	f.BoolVar(&o.Inner, "reverse", false, "be the inner side, in the network that is to be reached")
	f.StringVar(&o.To, "to", "", "URL of the outer side, https://HOST:PORT")
	f.StringVar(&o.CAFile, "ca", "", "PEM file with the roots for --to (default: the system's)")
	f.StringSliceVar(&o.Allow, "allow", nil, "a HOST:PORT that may be reached through the inner side (may be repeated)")
	f.IntVar(&o.Connections, "connections", o.Connections, "connections that the inner side keeps")
	f.StringVar(&o.Accept, "accept", "", "be the outer side: the address for inner sides")
	f.StringVar(&o.CertFile, "cert", "", "PEM file with the certificate chain for --accept")
	f.StringVar(&o.KeyFile, "key", "", "PEM file with the private key of --cert")
	f.BoolVar(&o.Cleartext, "cleartext", false, "accept without TLS, behind something that ends it")
	f.StringArrayVar(
		&o.Listen,
		"listen",
		nil,
		"ADDRESS=HOST:PORT: carry connections to ADDRESS to a target (may be repeated)",
	)
	f.StringVar(&o.Proxy, "proxy", "", "address of a proxy for HTTP CONNECT, to all that the inner side allows")
	f.StringVar(&o.Users, "users", "", `file of users for --proxy, with lines as "sluice proxy user NAME" prints them`)
}
