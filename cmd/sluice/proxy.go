package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-go/sluice/cmd/sluice/internal/proxy"
)

// proxyCommand turns flags into proxy.Options; adjust, if not nil, changes them before they are
// used.
func proxyCommand(adjust func(*proxy.Options)) *cobra.Command {
	o := proxy.Defaults()
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Run a forward proxy: tunnels by CONNECT over HTTP/1.1 and HTTP/2, and plain requests",
		Long: `Run a forward proxy: tunnels by CONNECT over HTTP/1.1 and HTTP/2, and plain requests.

By default it listens on this machine alone, and lets through port 443 of public
addresses. A policy has lines such as "allow .example.com" and "deny any"; users
are in a file with hashes of bcrypt. SIGHUP reads both again.`,
		Example: `  sluice proxy
  sluice proxy --https :8443 --cert fullchain.pem --key key.pem --users users.txt --http ""
  sluice proxy --policy policy.txt --audit audit.jsonl -v
  sluice proxy --intercept --ui 127.0.0.1:8000
  sluice proxy explain --policy policy.txt example.com:443`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			o.Reload = reload
			noProxyOfEnvironment(cmd, &o)
			if o.Verbose && (o.HTTPS != "" || o.Intercept) {
				o.Watch.KeyLog = os.Getenv("SSLKEYLOGFILE")
			}
			if adjust != nil {
				adjust(&o)
			}
			return proxy.Run(cmd.Context(), o)
		},
	}
	policyFlags(cmd.PersistentFlags(), &o)
	listenFlags(cmd.Flags(), &o)
	limitFlags(cmd.Flags(), &o)
	interceptFlags(cmd.Flags(), &o)
	watchFlags(cmd.Flags(), &o.Watch)
	cmd.AddCommand(explainCommand(&o, adjust), userCommand())
	return cmd
}

// policyFlags are the flags that decide about targets.
func policyFlags(f *pflag.FlagSet, o *proxy.Options) {
	f.StringVar(
		&o.Policy,
		"policy",
		"",
		`file of rules such as "allow .example.com" (default: everything that --ports lets through)`,
	)
	f.StringVar(&o.Ports, "ports", o.Ports, `ports where no rule names one: a list such as 443,8000-8999, or "any"`)
	f.BoolVar(
		&o.AllowPrivate,
		"allow-private",
		false,
		"let through addresses that are not public, such as 10.0.0.0/8 and this machine",
	)
	f.StringVar(
		&o.Upstream,
		"upstream",
		"",
		"reach targets through this proxy: http://, https://, h2c:// or socks5://[USER:PASSWORD@]HOST:PORT",
	)
	f.StringVar(&o.NoProxy, "no-proxy", "", "names and networks that are reached without --upstream (default: $NO_PROXY)")
}

// listenFlags are the flags for clients.
func listenFlags(f *pflag.FlagSet, o *proxy.Options) {
	f.StringVar(&o.HTTP, "http", o.HTTP, `address of the cleartext listener; "" turns it off`)
	f.StringVar(&o.HTTPS, "https", o.HTTPS, `address of the TLS listener (default: off)`)
	f.StringVar(&o.CertFile, "cert", "", "PEM file with the certificate chain (default: self-signed, made in memory)")
	f.StringVar(&o.KeyFile, "key", "", "PEM file with the private key of --cert")
	f.StringSliceVar(&o.Hosts, "host", nil, "a further name or address for the self-signed certificate (may be repeated)")
	f.StringSliceVar(
		&o.ProxyProtocol,
		"proxy-protocol",
		nil,
		"networks of load balancers that send PROXY protocol headers, v1 or v2",
	)
	f.IntVar(&o.SendHeader, "send-proxy-protocol", 0, "send targets a PROXY protocol header of this version, 1 or 2")
	f.StringVar(
		&o.Users,
		"users",
		"",
		`file of users, with lines as "sluice proxy user NAME" and "htpasswd -B" print them`,
	)
	f.StringVar(
		&o.DigestUsers,
		"digest-users",
		"",
		`file of users for Digest, with lines as "sluice proxy user --digest NAME" prints them`,
	)
	f.StringVar(&o.ClientCA, "client-ca", "", "PEM file of CAs: a client certificate of theirs names the user")
	f.StringVar(&o.Audit, "audit", "", `file for a line of JSON for each tunnel and request; "-" is the standard output`)
	f.BoolVarP(&o.Verbose, "verbose", "v", false, "log every tunnel and request when it has ended; "+
		"with SSLKEYLOGFILE in the environment, append the keys of TLS to that file")
	f.BoolVar(&o.UDP, "udp", false, "let clients open tunnels for UDP (RFC 9298)")
}

// limitFlags are limits and times.
func limitFlags(f *pflag.FlagSet, o *proxy.Options) {
	f.DurationVar(&o.DialTimeout, "dial-timeout", o.DialTimeout, "time for finding and reaching a target")
	f.DurationVar(
		&o.IdleTimeout,
		"tunnel-idle-timeout",
		o.IdleTimeout,
		"time after which a tunnel that carries nothing ends; 0 is never",
	)
	f.DurationVar(&o.MaxAge, "max-tunnel-age", 0, "age at which a tunnel ends; 0 is no limit")
	f.IntVar(
		&o.MaxPerUser,
		"max-tunnels-per-user",
		0,
		"open tunnels of a user, or of an address where there are no users; 0 is no limit",
	)
	f.IntVar(&o.MaxStreams, "max-streams", o.MaxStreams, "concurrent tunnels and requests of an HTTP/2 connection")
	f.DurationVar(&o.Drain, "drain", o.Drain, "time that open tunnels have after Ctrl-C")
}

// interceptFlags are the flags of a proxy that ends TLS.
func interceptFlags(f *pflag.FlagSet, o *proxy.Options) {
	f.BoolVar(
		&o.Intercept,
		"intercept",
		false,
		"end the TLS of tunnels, with certificates of a CA of our own that clients have to trust",
	)
	f.StringVar(
		&o.CADir,
		"ca-dir",
		"",
		"directory of that CA, which is made on first use (default: sluice in the user's configuration)",
	)
	f.StringSliceVar(&o.Pass, "pass-through", nil, "hosts whose TLS is relayed untouched, such as .bank.example")
	f.StringSliceVar(
		&o.Insecure,
		"insecure-host",
		nil,
		"hosts whose certificates are not verified; they get nothing of --set-header and --client-cert",
	)
	f.StringArrayVar(
		&o.ClientCerts,
		"client-cert",
		nil,
		"HOST=FILE: certificate and key, in PEM, for origins that ask for one (may be repeated)",
	)
	f.StringVar(
		&o.SetHeader,
		"set-header",
		"",
		`file of fields to set in requests: "api.example.com: Authorization: Bearer abc"`,
	)
}

// noProxyOfEnvironment takes --no-proxy from the environment where it was not given.
func noProxyOfEnvironment(cmd *cobra.Command, o *proxy.Options) {
	if cmd.Flags().Changed("no-proxy") {
		return
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if v := os.Getenv(name); v != "" {
			o.NoProxy = v
			return
		}
	}
}

// explainCommand says what the proxy with the flags of o does about a target.
func explainCommand(o *proxy.Options, adjust func(*proxy.Options)) *cobra.Command {
	user := ""
	cmd := &cobra.Command{
		Use:   "explain HOST:PORT",
		Short: "Say which rule decides about a target, and which addresses it has, without connecting",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Out, o.Err = cmd.OutOrStdout(), cmd.ErrOrStderr()
			noProxyOfEnvironment(cmd, o)
			if adjust != nil {
				adjust(o)
			}
			return proxy.Explain(cmd.Context(), *o, args[0], user)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the user of the client")
	return cmd
}

// userCommand prints a line for a file of users.
func userCommand() *cobra.Command {
	digest := false
	cmd := &cobra.Command{
		Use:   "user NAME",
		Short: "Print a line for --users; the password is the first line of the standard input",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return proxy.UserLine(cmd.InOrStdin(), cmd.OutOrStdout(), args[0], digest)
		},
	}
	cmd.Flags().BoolVar(&digest, "digest", false, "print a line for --digest-users")
	return cmd
}
