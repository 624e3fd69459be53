package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-go/sluice/cmd/sluice/internal/inspect"
)

// inspectCommand turns flags into inspect.Options.
func inspectCommand() *cobra.Command {
	o := inspect.Options{Getenv: os.Getenv, Color: inspect.ColorAuto}
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show the HTTP/2 in a packet capture: frames, findings, and what streams waited for",
		Long: `Show the HTTP/2 in a packet capture: every frame with its fields, what breaks
RFC 9113, and what each stream waited for. FILE is pcap or pcapng, gzip too; "-" is
the standard input. HTTP/2 is found on any port, and inside CONNECT.

The exit status is 0 where all is well, 1 where there are errors or warnings (with
--diff: differences), and 2 where the capture, or a part of it, could not be read.`,
		Example: `  sluice inspect capture.pcapng
  sluice inspect --keylog keys.log --requests capture.pcap
  sluice inspect --json capture.pcap | jq 'select(.kind == "stall")'
  sluice inspect --html page.html --stream 5,7 capture.pcap
  tcpdump -i any -U -w - port 443 | sluice inspect -
  sluice inspect --diff before-proxy.pcap behind-proxy.pcap`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError("inspect needs the file of a packet capture, or two with --diff")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Files, o.In, o.Out, o.Err = args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			if o.WritesFiles() {
				signal.Ignore(syscall.SIGPIPE) // a pager that goes ends the output, but not the files
			}
			return inspect.Run(cmd.Context(), o)
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err.Error()) })
	inspectOutputFlags(cmd.Flags(), &o)
	inspectFilterFlags(cmd.Flags(), &o)
	return cmd
}

// usageError is an error of the command line of inspect, whose exit status 1 has a meaning.
func usageError(text string) error { return &inspect.StatusError{Code: 2, Text: text} }

// inspectOutputFlags are the flags that say what is read and what it becomes.
func inspectOutputFlags(f *pflag.FlagSet, o *inspect.Options) {
	f.StringVar(
		&o.KeyLog,
		"keylog",
		"",
		"file with the secrets of TLS connections, as SSLKEYLOGFILE has programs write it (default: $SSLKEYLOGFILE)",
	)
	f.BoolVar(&o.ShowSecrets, "show-secrets", false, "show values of authorization, cookie and such, and tokens in paths")
	f.BoolVar(&o.Follow, "follow", false, "wait for more at the end of the file, until Ctrl-C")
	f.StringVar(&o.Color, "color", o.Color, "colours: auto (on a terminal, and without NO_COLOR), always or never")
	f.BoolVar(&o.JSON, "json", false, "print a line of JSON for each event (docs/INSPECT.md)")
	f.BoolVar(&o.Requests, "requests", false, "print a table of requests, with what each has waited for")
	f.StringVar(&o.As, "as", "", `print requests and responses in the form of HTTP/1.1: "http1"`)
	f.BoolVar(&o.Bodies, "bodies", false, "print the content of requests and responses, decompressed")
	f.BoolVar(&o.Diff, "diff", false, "say what differs between the requests of two files, or of the two legs of a proxy")
	f.StringVar(&o.HTML, "html", "", "write a page with a waterfall of requests and windows to this file")
	f.StringVar(&o.HAR, "har", "", "write requests to this file as HAR 1.2")
	f.StringVar(&o.Perfetto, "perfetto", "", "write requests and windows to this file as a trace for ui.perfetto.dev")
}

// inspectFilterFlags are the flags that say what of it is shown.
func inspectFilterFlags(f *pflag.FlagSet, o *inspect.Options) {
	f.StringSliceVar(&o.Conns, "conn", nil, "show these connections alone, by number")
	f.StringSliceVar(&o.Streams, "stream", nil, "show these streams alone; 0 is the connection")
	f.StringSliceVar(&o.Types, "type", nil, "show frames of these types alone, such as HEADERS,RST_STREAM")
	f.StringVar(&o.Host, "host", "", "show requests for this host alone; .example.com has those below it, too")
	f.BoolVar(&o.Errors, "errors", false, "show streams alone that have findings, resets, or a status of 4xx or 5xx")
	f.IntVar(&o.MaxConns, "max-connections", 0, "connections that are followed at once; each takes 15 KiB (default: 1024)")
	f.DurationVar(&o.MinStall, "min-stall", 0, "show stalls from this length (default: 20ms)")
}
