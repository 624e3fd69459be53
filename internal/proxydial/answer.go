package proxydial

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

const (
	// MaxHead bounds the heads of the answer to a request, interim ones included, in octets.
	MaxHead = 64 << 10
	// maxInterim bounds the interim responses before a final one, as net/http does.
	maxInterim = 5
)

var (
	errLongHead    = fmt.Errorf("the head of the answer is longer than %d octets", MaxHead)
	errInterim     = fmt.Errorf("more than %d interim responses", maxInterim)
	errNotHTTP     = errors.New("the answer is not HTTP/1")
	errSwitched    = errors.New("the answer is 101 (Switching Protocols), which was not asked for")
	errStatusLine  = errors.New("the status line of the answer is malformed")
	errFieldsOfEnd = errors.New("the fields of the answer are malformed")
)

// readAnswer reads the final response to CONNECT. After a 2xx the tunnel begins behind its head,
// whatever Content-Length and Transfer-Encoding say (RFC 9110 §9.3.6): its Body is empty then. With
// an error the response has what is known of it, and no Body; it is nil where nothing is known.
//
// Another response has a Body, and rest has octets buffered where some came behind it.
func readAnswer(r *bufio.Reader, req *http.Request) (resp *http.Response, rest *bufio.Reader, err error) {
	room := MaxHead
	for range maxInterim + 1 {
		head, err := readHead(r, room)
		room -= len(head)
		resp := parseHead(head, req)
		switch {
		case err != nil:
			return resp, nil, err
		case resp == nil:
			return nil, nil, errStatusLine
		case resp.Header == nil:
			return resp, nil, errFieldsOfEnd
		case resp.StatusCode == http.StatusSwitchingProtocols && req.Method == http.MethodConnect:
			return resp, nil, errSwitched
		case resp.StatusCode == http.StatusSwitchingProtocols:
			return resp, r, nil
		case resp.StatusCode < 200:
			continue
		case resp.StatusCode < 300:
			return resp, r, nil
		}
		rest := bufio.NewReader(io.MultiReader(bytes.NewReader(head), r))
		whole, err := http.ReadResponse(rest, req)
		if err != nil {
			return resp, nil, err
		}
		return whole, rest, nil
	}
	return nil, nil, errInterim
}

// readHead reads up to the empty line that ends a head of at most room octets. With an error it
// returns what has come.
func readHead(r *bufio.Reader, room int) (head []byte, err error) {
	if first, err := r.Peek(len("HTTP/")); string(first) != "HTTP/"[:len(first)] {
		return nil, fmt.Errorf("%w: it begins with %q", errNotHTTP, first)
	} else if err != nil {
		return nil, unexpectedEOF(err)
	}
	for {
		part, err := r.ReadSlice('\n')
		head = append(head, part...)
		switch {
		case len(head) > room:
			return head, errLongHead
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return head, unexpectedEOF(err)
		case bytes.HasSuffix(head, []byte("\n\r\n")), bytes.HasSuffix(head, []byte("\n\n")):
			return head, nil
		}
	}
}

// unexpectedEOF returns err, io.ErrUnexpectedEOF for io.EOF: the answer is not complete.
func unexpectedEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // as a Reader returns it
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHead returns the response that a head describes, which may be cut off: nil without a status
// line, and one without Header where the fields are malformed or not complete.
func parseHead(head []byte, req *http.Request) *http.Response {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	line, err := r.ReadLine()
	if err != nil || bytes.IndexByte(head, '\n') < 0 {
		return nil
	}
	resp := &http.Response{Request: req, Body: http.NoBody, ContentLength: -1}
	proto, status, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(status, " "), " ")
	var ok bool
	if resp.ProtoMajor, resp.ProtoMinor, ok = http.ParseHTTPVersion(proto); !ok || resp.ProtoMajor != 1 {
		return nil
	}
	if len(code) != 3 || code[0] < '1' || code[0] > '9' || code[1] < '0' || code[1] > '9' || code[2] < '0' ||
		code[2] > '9' {
		return nil
	}
	resp.Proto, resp.Status = proto, strings.TrimLeft(status, " ")
	resp.StatusCode = int(code[0]-'0')*100 + int(code[1]-'0')*10 + int(code[2]-'0')
	fields, err := r.ReadMIMEHeader()
	if err == nil {
		resp.Header = http.Header(fields)
	}
	return resp
}
