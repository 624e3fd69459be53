package serve

import (
	"fmt"
	"io"

	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
)

// urls are the URLs of the listeners, "" for one that is off.
type urls struct{ https, http string }

// try is one command to type and what it shows.
type try struct{ command, shows string }

// tries lists commands that work against this server as it was started.
func tries(o *Options, u urls) []try {
	var list []try
	add := func(shows, format string, args ...any) {
		list = append(list, try{fmt.Sprintf(format, args...), shows})
	}
	path := "/headers"
	if o.Dir != "" {
		path = "/"
	}
	k := "-k "
	if o.CertFile != "" {
		k = ""
	}
	if u.https != "" {
		add("HTTP/2 over TLS", "curl %s%s%s", k, u.https, path)
		add("HTTP/1.1 on the same port", "curl --http1.1 %s%s%s", k, u.https, path)
	}
	if u.http != "" {
		add("HTTP/2 in clear, by prior knowledge", "curl --http2-prior-knowledge %s%s", u.http, path)
		if o.H2CUpgrade {
			add("HTTP/2 in clear, by Upgrade", "curl --http2 %s%s", u.http, path)
		}
	}
	if o.Dir != "" {
		return list
	}
	curl, base := "curl "+k, u.https
	if base == "" {
		curl, base = "curl --http2-prior-knowledge ", u.http
	}
	add("the body comes back", "%s-d hello %s/echo", curl, base)
	add("a trailer section after the body", "%s-v -d hello %s/trailers", curl, base)
	add("103 before the answer", "%s-v %s/early-hints", curl, base)
	add("a line at a time", "%s-N '%s/stream?n=3'", curl, base)
	add("a hundred megabytes", "%s-o /dev/null %s/bytes/100000000", curl, base)
	add("the server's counters", "%s%s/stats", curl, base)
	return list
}

// banner prints where the server is, what is watched and what to try.
func banner(w io.Writer, o *Options, u urls, watched *watch.Watch) {
	what := "the demo site"
	if o.Dir != "" {
		what = o.Dir
	}
	fmt.Fprintf(w, "sluice serves %s\n\n", what)
	if u.https != "" {
		cert := "self-signed certificate: the browser will ask"
		if o.CertFile != "" {
			cert = "certificate from " + o.CertFile
		}
		fmt.Fprintf(w, "  %s/\n      HTTP/2 and HTTP/1.1 over TLS (%s)\n", u.https, cert)
	}
	if u.http != "" {
		how := "by prior knowledge"
		if o.H2CUpgrade {
			how += " or Upgrade"
		}
		fmt.Fprintf(w, "  %s/\n      HTTP/1.1, and HTTP/2 in clear (h2c) %s\n", u.http, how)
	}
	watched.Banner(w)
	list := tries(o, u)
	width := 0
	for _, t := range list {
		width = max(width, len(t.command))
	}
	fmt.Fprint(w, "\nTry:\n")
	for _, t := range list {
		fmt.Fprintf(w, "  %-*s  # %s\n", width, t.command, t.shows)
	}
	fmt.Fprint(w, "\nCtrl-C stops.\n")
}
