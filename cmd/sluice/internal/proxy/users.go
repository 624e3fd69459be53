package proxy

import (
	"bufio"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"github.com/sluice-go/sluice/tunnel"
)

// usersFile is a file that a flag names.
type usersFile struct {
	flag string
	load func() error
}

// setUsers sets the users of the proxy.
func (c *config) setUsers() error {
	var auths []tunnel.Authenticator
	if c.o.ClientCA != "" {
		pem, err := os.ReadFile(c.o.ClientCA)
		if err != nil {
			return flagError("--client-ca", err)
		}
		if c.roots = x509.NewCertPool(); !c.roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("--client-ca %s has no certificate in PEM", c.o.ClientCA)
		}
		auths = append(auths, &tunnel.ClientCert{})
	}
	add := func(flag string, a interface {
		tunnel.Authenticator
		Load() error
	},
	) error {
		u := usersFile{flag, func() error { return flagError(flag, a.Load()) }}
		c.users, auths = append(c.users, u), append(auths, a)
		return u.load()
	}
	if c.o.DigestUsers != "" { // before Basic: clients choose the first challenge that they know
		if err := add("--digest-users", &tunnel.DigestFile{Path: c.o.DigestUsers}); err != nil {
			return err
		}
	}
	if c.o.Users != "" {
		if err := add("--users", &tunnel.BasicFile{Path: c.o.Users}); err != nil {
			return err
		}
	}
	switch len(auths) {
	case 0:
	case 1:
		c.proxy.Auth = auths[0]
	default:
		c.proxy.Auth = tunnel.AnyOf(auths...)
	}
	return nil
}

// UserLine writes the line of --users, or of --digest-users, for a user whose password is the first
// line of in.
func UserLine(in io.Reader, out io.Writer, user string, digest bool) error {
	if user == "" || strings.ContainsAny(user, ":\n\r") {
		return errors.New("a user's name is not empty, and has no colon")
	}
	password, err := bufio.NewReader(in).ReadString('\n')
	if password = strings.TrimRight(password, "\r\n"); password == "" {
		if err != nil && err != io.EOF { //nolint:errorlint // bufio does not wrap it
			return fmt.Errorf("reading the password: %w", err)
		}
		return errors.New("the password is the first line of the standard input, which is empty")
	}
	if digest {
		_, err = fmt.Fprintln(out, tunnel.DigestHash(user, "sluice", password))
		return err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return fmt.Errorf("the password: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s:%s\n", user, hash)
	return err
}
