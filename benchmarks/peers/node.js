'use strict';
const http2 = require('node:http2');
const fs = require('node:fs');

const answer = Buffer.from('{{.Answer}}');
const large = Buffer.alloc(10 << 20, '.'); // zeros could be one page of the system's, many times
const plain = { ':status': 200, 'content-type': 'text/plain; charset=utf-8' };
const fields = { ...plain{{range .Fields}}, '{{.Name}}': '{{.Value}}'{{end}} };

const settings = { maxConcurrentStreams: {{.MaxStreams}} };
const server = {{if .TLS -}}
http2.createSecureServer({ cert: fs.readFileSync('{{.Cert}}'), key: fs.readFileSync('{{.Key}}'), settings })
{{- else -}}
http2.createServer({ settings })
{{- end}};

server.on('stream', (stream, headers) => {
  stream.on('error', () => {}); // a client that has gone
  switch (headers[':path']) {
    case '/1m':
      stream.respond(plain);
      stream.end(large.subarray(0, 1 << 20));
      return;
    case '/10m':
      stream.respond(plain);
      stream.end(large);
      return;
    case '/upload':
      stream.resume();
      stream.on('end', () => {
        stream.respond(plain);
        stream.end(answer);
      });
      return;
    case '/fields':
      stream.respond(fields);
      stream.end(answer);
      return;
    default:
      stream.respond(plain);
      stream.end(answer);
  }
});
server.listen({{.Port}}, '127.0.0.1');
