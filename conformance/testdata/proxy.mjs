// Gets a page over a tunnel through a proxy: node proxy.mjs http|http2 PROXY ORIGIN CA
import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import tls from 'node:tls';

const [how, proxy, origin, caFile] = process.argv.slice(2);
const ca = fs.readFileSync(caFile);
const {host: target, hostname: servername} = new URL(origin);

// tunnel opens a tunnel, and calls back with its status, the stream and what ends it.
function tunnel(callback) {
  if (how === 'http2') {
    const session = http2.connect(proxy, {ca, servername: 'proxy.test'});
    const stream = session.request({':method': 'CONNECT', ':authority': target});
    stream.on('response', (headers) => callback(headers[':status'], stream, () => session.close()));
    return;
  }
  const {protocol, hostname, port} = new URL(proxy);
  const module = protocol === 'https:' ? https : http;
  const request = module.request({
    host: hostname, port, method: 'CONNECT', path: target, headers: {host: target}, ca, servername: 'proxy.test', agent: false,
  });
  request.on('connect', (response, socket) => callback(response.statusCode, socket, () => socket.destroy()));
  request.end();
}

tunnel((status, stream, end) => {
  const socket = tls.connect({socket: stream, servername, ca}, () => {
    const request = https.request({createConnection: () => socket, host: servername, path: '/', headers: {host: target}});
    request.on('response', async (response) => {
      let body = '';
      for await (const chunk of response) body += chunk;
      console.log(JSON.stringify({status, body}));
      socket.destroy();
      end();
    });
    request.end();
  });
});
