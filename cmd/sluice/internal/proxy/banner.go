package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/sluice-go/sluice/cmd/sluice/internal/listen"
	"github.com/sluice-go/sluice/cmd/sluice/internal/watch"
)

// try is one command to type and what it shows.
type try struct{ command, shows string }

// tries lists commands that work with this proxy as it was started, where the policy allows it.
func (c *config) tries(https, http string) []try {
	var list []try
	add := func(shows, format string, args ...any) {
		list = append(list, try{fmt.Sprintf(format, args...), shows})
	}
	flags := ""
	switch {
	case c.o.Users != "":
		flags += "--proxy-user NAME:PASSWORD "
	case c.o.DigestUsers != "":
		flags += "--proxy-digest --proxy-user NAME:PASSWORD "
	case c.o.ClientCA != "":
		flags += "--proxy-cert CERT.pem --proxy-key KEY.pem "
	}
	if c.ca != nil {
		dir, _ := caDir(c.o) // it was there a moment ago
		flags += "--cacert " + dir + "/ca.pem "
	}
	if http != "" {
		add("a tunnel through HTTP/1.1", "curl %s-x %s https://example.com/", flags, http)
	}
	if https != "" {
		insecure := ""
		if c.o.CertFile == "" {
			insecure = "--proxy-insecure "
		}
		add("TLS to the proxy, too", "curl %s%s-x %s https://example.com/", flags, insecure, https)
	}
	add("which rule decides, and which addresses a name has", "sluice proxy explain %sexample.com:443", c.policyFlags())
	return list
}

// policyFlags returns the flags with which explain decides as this proxy.
func (c *config) policyFlags() string {
	var b strings.Builder
	if c.o.Policy != "" {
		fmt.Fprintf(&b, "--policy %s ", c.o.Policy)
	}
	if c.o.Ports != Defaults().Ports {
		fmt.Fprintf(&b, "--ports %s ", c.o.Ports)
	}
	if c.o.AllowPrivate {
		b.WriteString("--allow-private ")
	}
	return b.String()
}

// banner prints where the proxy is, what it lets through, what is watched, and what to try.
func (c *config) banner(w io.Writer, ls *listen.Listeners, watched *watch.Watch) {
	o := c.o
	https, http := listen.URL("https", o.HTTPS, ls.HTTPS), listen.URL("http", o.HTTP, ls.HTTP)
	fmt.Fprint(w, "sluice is a forward proxy\n\n")
	if https != "" {
		cert := "self-signed certificate: clients have to be told to take it"
		if o.CertFile != "" {
			cert = "certificate from " + o.CertFile
		}
		fmt.Fprintf(w, "  %s\n      HTTP/2 and HTTP/1.1 over TLS (%s)\n", https, cert)
	}
	if http != "" {
		fmt.Fprintf(w, "  %s\n      HTTP/1.1, and HTTP/2 in clear (h2c) by prior knowledge\n", http)
	}
	fmt.Fprintf(w, "\nFor %s, to %s.\n", c.clientsText(), c.targetsText())
	if c.ca != nil {
		fmt.Fprintf(w, "\nThe TLS of tunnels ends here. %s\n", strings.TrimSpace(c.ca.Trust()))
	}
	watched.Banner(w)
	list := c.tries(https, http)
	width := 0
	for _, t := range list {
		width = max(width, len(t.command))
	}
	fmt.Fprint(w, "\nTry:\n")
	for _, t := range list {
		fmt.Fprintf(w, "  %-*s  # %s\n", width, t.command, t.shows)
	}
	stop := "\nCtrl-C stops."
	if c.o.Reload != nil && (c.policy != nil || len(c.users) > 0 || o.SetHeader != "" || o.Audit != "") {
		stop += " SIGHUP reads the files again."
	}
	fmt.Fprintln(w, stop)
}

// clientsText says which clients may use the proxy.
func (c *config) clientsText() string {
	var files []string
	for _, f := range []string{c.o.Users, c.o.DigestUsers} {
		if f != "" {
			files = append(files, "the users of "+f)
		}
	}
	if c.o.ClientCA != "" {
		files = append(files, "clients with a certificate of "+c.o.ClientCA)
	}
	if len(files) > 0 {
		return strings.Join(files, " and ")
	}
	return "everyone that can connect"
}

// targetsText says what the proxy lets through.
func (c *config) targetsText() string {
	what := "public addresses"
	if c.o.AllowPrivate {
		what = "public and private addresses"
	}
	switch {
	case c.o.Policy != "":
		return "what " + c.o.Policy + " allows"
	case c.o.Ports == "any":
		return "any port of " + what
	}
	return "port " + c.o.Ports + " of " + what
}

// warnings returns what the operator should know.
func (c *config) warnings(ls *listen.Listeners) []string {
	var list []string
	for _, l := range []struct {
		flag string
		l    net.Listener
	}{{"--https", ls.HTTPS}, {"--http", ls.HTTP}} {
		switch {
		case l.l == nil || isLoopback(l.l.Addr()):
		case !c.o.hasUsers():
			list = append(list, fmt.Sprintf("everyone that reaches %v may use this proxy: let in users only with --users FILE, "+
				"or listen on this machine alone with %s 127.0.0.1:PORT", l.l.Addr(), l.flag))
		case l.flag == "--http" && c.o.Users != "":
			list = append(list, fmt.Sprintf("passwords come to %v in clear: let clients use --https, and turn this listener "+
				`off with --http ""`, l.l.Addr()))
		}
	}
	if rules := c.fields.Load(); rules != nil && rules.Warning() != "" {
		list = append(list, "--set-header: "+rules.Warning())
	}
	for _, host := range c.o.Insecure {
		list = append(list, "--insecure-host: the certificate of "+host+" is not verified: it gets no fields of --set-header")
	}
	return list
}

// isLoopback reports whether only this machine reaches an address.
func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
