package get

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-go/sluice/capture"
)

// maxRedirects is how many redirects are followed for one URL.
const maxRedirects = 10

// redirected is asked before a redirect is followed; via are the requests up to now. Package http
// keeps Authorization and Cookie while the name of the host stays the same, and all other fields
// everywhere. Here each field with a secret, such as X-Api-Key, is for the origin that it was given
// for (RFC 6454 §4), so that it goes neither to another service of the host, on its own port, nor
// over http in cleartext. Once they were left out they stay away.
func redirected(req *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errors.New("more than 10 redirects")
	}
	for _, r := range append(via[1:len(via):len(via)], req) {
		if origin(r.URL) != origin(via[0].URL) {
			maps.DeleteFunc(req.Header, secret)
			break
		}
	}
	return nil
}

// secret reports whether a field has what sluice inspect would hide. Referer, which package http
// adds, is one where the URL has a token.
func secret(name string, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return capture.HideField(name, v) != v })
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
