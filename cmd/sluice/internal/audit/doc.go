// Package audit is the file of the flag --audit: a line of JSON for each tunnel and request.
package audit
