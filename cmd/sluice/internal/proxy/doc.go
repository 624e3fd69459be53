// Package proxy is what the command "sluice proxy" does: it makes a [tunnel.Proxy] of its flags,
// listens, prints what to try, reads policy and users again when it is told to, and drains when it
// is told to stop. The command itself only turns flags into [Options].
//
// It owns the listeners, the server and the audit log between the call of [Run] and its return.
package proxy
