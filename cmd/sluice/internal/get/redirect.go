package get

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// maxRedirects is how many redirects are followed for one URL.
const maxRedirects = 10

// redirected is asked before a redirect is followed; via are the requests up to now. Package http
// keeps Authorization and Cookie while the name of the host stays the same; here they are for the
// origin that they were given for (RFC 6454 §4), so that they go neither to another service of the
// host, on its own port, nor over http in cleartext. Once they were left out they stay away.
func redirected(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errors.New("more than 10 redirects")
	}
	for _, r := range append(via[1:len(via):len(via)], req) {
		if origin(r.URL) != origin(via[0].URL) {
			for _, name := range [...]string{"Authorization", "Proxy-Authorization", "Cookie"} {
				req.Header.Del(name)
			}
		}
	}
	return nil
}

// origin is the origin of a URL, with its port.
func origin(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
