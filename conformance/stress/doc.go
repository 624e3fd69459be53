// Package stress sends requests with bodies over real sockets, on many processors, through servers
// that refuse, reset, end and age at random, and checks each with one oracle. It holds tests only.
//
// The oracle: every request ends; one that reports success has a response body equal octet for
// octet to what the handler sent, and its handler has seen the whole request body; a request that
// a server might have processed is not sent again; every error is one that a refusal or a cut
// explains; and in the end no goroutine, stream or connection is left.
//
// Each client of ours meets each server of ours and that of net/http, in the clear and over TLS,
// with MaxConnsPerHost of 0, 1 and 2, on 1, 2 and 8 processors. A run takes half a minute; with
// -stress.requests=1000000 as many requests are sent, however long it takes.
package stress
