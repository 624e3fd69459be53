package tunnel

import "net/http"

// A Refusal is why the proxy did not do what a request asked for. It is an error, so that hooks
// may return one to choose the answer.
type Refusal struct {
	Status  int         // of the answer, such as 403
	Type    string      // error type of Proxy-Status (RFC 9209 §2.3), such as "http_request_denied"
	Rule    string      // the rule that decided, such as "policy.txt:12: deny suffix .example"; "" where none did
	Details string      // a sentence for people; goes into the body and into Proxy-Status
	Rcode   string      // of a dns_error (RFC 9209 §2.3.2), such as "NXDOMAIN"; "" if unknown
	Header  http.Header // more fields of the answer, such as Proxy-Authenticate
	Err     error       // the cause, for the log; nil where there is none
}

// Error returns Details, and the rule.
func (r *Refusal) Error() string {
	if r.Rule == "" {
		return r.Details
	}
	return r.Details + " (" + r.Rule + ")"
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }
