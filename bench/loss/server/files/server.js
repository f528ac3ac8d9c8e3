// The server under test in node: node server.js VERSION PORT, or "fd" for the
// socket that systemd passed.
'use strict';
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');

const [version, port] = process.argv.slice(2);
const pattern = fs.readFileSync('/srv/bench/stream');
const interval = 50; // ms, and a chunk of the stream in each
const chunk = 16 << 10;
let stopping = false;

function stream(url, response) {
  const length = chunk * Math.max(1, Math.floor((Number(url.searchParams.get('seconds')) * 1000) / interval));
  if (!(length <= pattern.length)) {
    response.writeHead(400).end();
    return;
  }
  response.setHeader('Content-Length', length);
  let offset = 0;
  const send = () => {
    response.write(pattern.subarray(offset, offset + chunk));
    offset += chunk;
    if (offset >= length) {
      clearInterval(timer);
      response.end();
    }
  };
  const timer = setInterval(send, interval);
  response.on('close', () => clearInterval(timer));
  send();
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://test');
  response.setHeader('Version', version);
  if (stopping) response.setHeader('Connection', 'close');
  switch (url.pathname) {
    case '/version':
      return response.end(version + '\n');
    case '/healthz':
      return response.end('healthy\n');
    case '/stream':
      return stream(url, response);
  }
  response.writeHead(404).end();
});
server.keepAliveTimeout = 75_000; // its own 5 s would close connections that pause

const where = port === 'fd' ? { fd: 3 } : { host: '::', port: Number(port), backlog: 4096 };
server.listen(where, () => {
  console.log(`listening on port ${server.address().port}`);
  if (process.env.NOTIFY_SOCKET) {
    // node has no datagram sockets in the file system.
    execFile('systemd-notify', ['--ready'], (err) => {
      if (err) throw err;
    });
  }
});

process.on('SIGTERM', () => {
  stopping = true;
  server.close(() => process.exit(0)); // after the requests under way
});
