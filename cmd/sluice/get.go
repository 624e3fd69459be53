package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/sluice-go/sluice/cmd/sluice/internal/get"
)

// getCommand turns flags into get.Options.
func getCommand() *cobra.Command {
	o := get.Defaults()
	cmd := &cobra.Command{
		Use:   "get URL...",
		Short: "Fetch URLs side by side, and show every frame or where the time goes",
		Long: `Fetch URLs side by side, over one connection where the server speaks HTTP/2.

The contents are printed in the order of the URLs. The exit status is 0 where
every URL was answered, whatever the status of the response (but see --fail), and
130 where Ctrl-C came before the end (143 for SIGTERM). A file of --output is called
FILE.part until it is whole; what fails or is interrupted is removed, and a FILE that
was there before stays. A second Ctrl-C ends the program at once.

The table of --stat has the times of each request: for the name, the connection
and its TLS, where the request made one; in the queue, for a connection of others
or for a free stream; for sending; waiting for the response; and for its content.

With --location, fields of --header that have secrets by custom (Authorization,
Cookie, X-Api-Key, those with "token" in their name and such) go to the origin of
the URL alone: to no other host, port or scheme. The content of --data goes along
with a redirect of 307 or 308.

With SSLKEYLOGFILE in the environment, the secrets of TLS are added to that file,
for Wireshark and sluice inspect.`,
		Example: `  sluice get https://example.com/
  sluice get -v https://localhost:8443/
  sluice get --stat --repeat 20 https://example.com/ https://example.com/style.css
  sluice get -o downloads/ https://example.com/a.iso https://example.com/b.iso
  sluice get -d @photo.jpg -X PUT --proxy http://127.0.0.1:3128 https://example.com/photo`,
		RunE: func(cmd *cobra.Command, urls []string) error {
			o.URLs = urls
			o.In, o.Out, o.Err = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			o.KeyLog = os.Getenv("SSLKEYLOGFILE")
			if f, ok := o.Err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
				o.Terminal, _, _ = term.GetSize(int(f.Fd())) // 0 shows no progress
			}
			return get.Run(cmd.Context(), o)
		},
	}
	getFlags(cmd.Flags(), &o)
	return cmd
}

// getFlags are the flags in the order in which the help has them.
func getFlags(f *pflag.FlagSet, o *get.Options) {
	f.SortFlags = false
	f.BoolVarP(&o.Verbose, "verbose", "v", false, "print every frame on standard error")
	f.BoolVar(&o.Stat, "stat", false, "print a table of timings and pushes in place of the contents")
	f.StringVarP(&o.Output, "output", "o", "", "file for the content, or a folder for those of several URLs")
	f.StringVarP(&o.Data, "data", "d", "", `content to send; "@FILE" is that of a file, "@-" standard input (with POST)`)
	f.StringVarP(&o.Method, "request", "X", "", "method (default: GET, and POST with --data)")
	f.StringArrayVarP(&o.Header, "header", "H", nil, `field to send, such as "Accept: text/html" (may be repeated)`)
	f.BoolVarP(&o.Head, "include", "i", false, "print the head of each response, too")
	f.BoolVarP(&o.Follow, "location", "L", false, "follow redirects")
	f.BoolVarP(&o.Fail, "fail", "f", false, "fail where a status is 400 or above")
	f.BoolVar(&o.Compress, "compressed", false, "ask for gzip, and decompress")
	f.IntVarP(&o.Repeat, "repeat", "n", o.Repeat, "how often each URL is fetched")
	f.IntVar(&o.Parallel, "parallel", o.Parallel, "most requests at once")
	f.DurationVar(&o.Timeout, "timeout", 0, "time for each request, its content included (default: no limit)")
	f.StringVar(&o.Proxy, "proxy", "", `URL of a proxy, or "none" (default: that of the environment)`)
	f.StringVar(&o.CACert, "cacert", "", "PEM file of certificates that are trusted beside those of the system")
	f.BoolVarP(&o.Insecure, "insecure", "k", false, "take any certificate")
	f.BoolVar(&o.HTTP1, "http1", false, "speak HTTP/1.1 alone")
	f.BoolVar(&o.H2C, "h2c", false, "speak HTTP/2 without TLS with http URLs")
	f.BoolVarP(&o.Quiet, "quiet", "q", false, "show no progress")
	f.StringVar(&o.Record, "record", "", "record the connections in this pcapng file, with the keys of TLS, for Wireshark")
	f.StringVar(&o.Color, "color", o.Color, "colours of --verbose: auto, always or never")
	f.BoolVar(&o.ShowSecrets, "show-secrets", false, "show the values of authorization, cookies and tokens")
}
