package capture

import (
	"crypto/tls"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// connectionJSON adds what a Connection has.
func connectionJSON(o *jsonObject, e *Connection) {
	o.time("time", e.Time)
	o.time("connected", e.Connected)
	o.str("client", e.Client.String())
	o.str("server", e.Server.String())
	o.str("protocol", string(e.Protocol))
	o.strIf("found", e.Found)
	if e.TLS != nil {
		o.object("tls", func() { tlsJSON(o, e.TLS) })
	}
	o.numIf("parent", int64(e.Parent))
	o.numIf("parent_stream", int64(e.ParentStream))
	o.numIf("twin", int64(e.Twin))
	o.flag("start_missing", e.StartMissing)
	o.strIf("leg", e.Leg)
	o.strIf("problem", e.Problem)
}

// tlsJSON adds the result of a handshake.
func tlsJSON(o *jsonObject, t *TLS) {
	o.strIf("version", t.VersionName())
	if t.CipherSuite != 0 {
		o.str("cipher_suite", tls.CipherSuiteName(t.CipherSuite))
	}
	o.octetsIf("alpn", t.ALPN)
	o.texts("offered", t.Offered)
	o.octetsIf("server_name", t.ServerName)
	o.strIf("client_random", hex.EncodeToString(t.ClientRandom))
	o.flag("resumed", t.Resumed)
	o.flag("hello_retry", t.HelloRetry)
	o.flag("early_data", t.EarlyData)
	o.flag("encrypted", t.Encrypted)
	o.time("start", t.Start)
	o.time("finished", t.Finished)
}

// requestJSON adds what a Request has.
func requestJSON(o *jsonObject, e *Request) {
	o.time("time", e.Start)
	o.num("stream", int64(e.Stream))
	o.strIf("version", e.Version)
	o.octets("method", e.Method)
	o.octetsIf("scheme", e.Scheme)
	o.octetsIf("authority", e.Authority)
	o.octetsIf("path", e.Path)
	o.octetsIf("protocol", e.Protocol)
	o.numIf("status", int64(e.Status))
	o.octetsIf("reason", e.Reason)
	if len(e.Interim) > 0 {
		o.objects("interim", len(e.Interim), func(i int) {
			o.time("time", e.Interim[i].Time)
			o.num("status", int64(e.Interim[i].Status))
			fieldsJSON(o, "fields", e.Interim[i].Fields)
		})
	}
	fieldsJSON(o, "request_fields", e.Fields[Client])
	fieldsJSON(o, "request_trailers", e.Trailers[Client])
	fieldsJSON(o, "response_fields", e.Fields[Server])
	fieldsJSON(o, "response_trailers", e.Trailers[Server])
	o.octetsIf("content_type", e.ContentType)
	o.flag("pushed", e.Pushed)
	o.numIf("parent", int64(e.Parent))
	o.flag("upgraded", e.Upgraded)
	o.octetsIf("priority_value", e.Priority)
	o.numIf("weight", int64(e.Weight))
	o.numIf("depends_on", int64(e.DependsOn))
	o.flag("exclusive", e.Exclusive)
	timesJSON(o, e)
	o.strIf("reset_by", e.ResetBy)
	if e.ResetBy != "" {
		codeJSON(o, "reset_code", e.ResetCode)
	}
	o.flag("goaway", e.GoAway)
	o.flag("complete", e.Complete)
	o.flag("start_missing", e.StartMissing)
	o.flag("lossy", e.Lossy)
	o.strIf("problem", e.Problem)
	if e.GRPC != nil {
		o.object("grpc", func() { grpcJSON(o, e.GRPC) })
	}
}

// timesJSON adds when parts of a request came, what it waited for, and how much was sent.
func timesJSON(o *jsonObject, e *Request) {
	o.time("request_end", e.RequestEnd)
	o.time("response", e.Response)
	o.time("first_data", e.FirstData)
	o.time("end", e.End)
	if !e.End.IsZero() && !e.Start.IsZero() {
		o.milliseconds("ms", e.End.Sub(e.Start))
	}
	o.object("wait_ms", func() {
		o.milliseconds("stream", e.Wait.Stream)
		o.milliseconds("connection", e.Wait.Connection)
		o.milliseconds("concurrency", e.Wait.Concurrency)
		o.milliseconds("server", e.Wait.Server)
		o.milliseconds("network", e.Wait.Network)
	})
	sidesJSON(o, "body", e.Body)
	sidesJSON(o, "wire", e.Wire)
	if len(e.DataChunks) > 0 {
		o.objects("chunks", len(e.DataChunks), func(i int) {
			o.time("time", e.DataChunks[i].Time)
			o.num("octets", e.DataChunks[i].Octets)
		})
	}
}

// sidesJSON adds a number for each side.
func sidesJSON(o *jsonObject, name string, n [2]int64) {
	o.object(name, func() {
		o.num("client", n[Client])
		o.num("server", n[Server])
	})
}

// grpcJSON adds what is seen of a call of gRPC.
func grpcJSON(o *jsonObject, g *GRPC) {
	o.octets("method", g.Method)
	o.num("status", int64(g.Status))
	o.octetsIf("message", g.Message)
	o.flag("web", g.Web)
	sidesJSON(o, "messages", g.Count)
	sidesJSON(o, "compressed", g.Compressed)
	sidesJSON(o, "partial", g.Partial)
	o.octetsIf("request_encoding", g.Encoding[Client])
	o.octetsIf("response_encoding", g.Encoding[Server])
	o.object("sizes", func() {
		for _, d := range []Dir{Client, Server} {
			sizes := g.Messages[d]
			o.list(d.String(), len(sizes), func(i int) { o.b = strconv.AppendInt(o.b, sizes[i], 10) })
		}
	})
}

// stallJSON adds what a Stall has.
func stallJSON(o *jsonObject, e *Stall) {
	o.time("time", e.Start)
	o.num("stream", int64(e.Stream))
	o.str("dir", e.Dir.String())
	o.str("window", e.Window.String())
	o.time("end", e.End)
	o.milliseconds("ms", max(e.End.Sub(e.Start), time.Duration(0)))
	o.milliseconds("blocked_ms", e.Blocked)
	o.numIf("periods", int64(e.Periods))
	o.strIf("ended_by", e.EndedBy)
	o.numIf("frame", int64(e.Frame))
}

// findingJSON adds what a Finding has.
func findingJSON(o *jsonObject, e *Finding) {
	o.time("time", e.Time)
	o.num("stream", int64(e.Stream))
	o.numIf("frame", int64(e.Frame))
	o.str("dir", e.Dir.String())
	o.str("severity", e.Severity.String())
	o.str("rule", e.Rule)
	o.strIf("section", e.Section)
	o.octets("text", e.Text)
}

// gapJSON adds what a Gap has.
func gapJSON(o *jsonObject, e *Gap) {
	o.time("time", e.Time)
	o.str("dir", e.Dir.String())
	o.numIf("stream", int64(e.Stream))
	if e.Octets >= 0 {
		o.num("octets", e.Octets)
	}
	o.numIf("skipped", e.Skipped)
	o.str("reason", e.Reason)
	o.octetsIf("text", e.Text)
}

// bodyJSON adds what a Body has: as text where it is text.
func bodyJSON(o *jsonObject, e *Body) {
	o.time("time", e.Time)
	o.num("stream", int64(e.Stream))
	o.str("dir", e.Dir.String())
	o.content(e.Octets)
	o.numIf("lost", e.Lost)
	o.flag("end", e.End)
}

// content adds octets: as text where they are text.
func (o *jsonObject) content(octets []byte) {
	o.num("length", int64(len(octets)))
	switch {
	case len(octets) == 0:
	case utf8.Valid(octets):
		o.str("text", string(octets))
	default:
		o.key("base64")
		o.b = appendBase64(o.b, octets)
	}
}

// messageJSON adds what a Message has.
func messageJSON(o *jsonObject, e *Message) {
	o.time("time", e.Time)
	o.num("stream", int64(e.Stream))
	o.str("dir", e.Dir.String())
	o.octetsIf("line", e.Line)
	fieldsJSON(o, "fields", e.Fields)
	o.flag("trailer", e.Trailer)
	o.texts("problems", e.Problems)
}

// endJSON adds what an End has.
func endJSON(o *jsonObject, e *End) {
	o.time("time", e.Time)
	o.str("how", e.How)
	o.num("frames", int64(e.Frames))
	o.num("requests", int64(e.Requests))
	sidesJSON(o, "octets", e.Octets)
	sidesJSON(o, "lost", e.Lost)
}
