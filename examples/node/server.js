// An HTTP server for Node.
//
// Port:  with `switcheroo run` it gets a listener, as file descriptor 3; as a
// unit it listens on port 0, and the daemon finds the port.
// Ready: when it accepts a connection. (Node has no datagrams for READY=1.)
const http = require('node:http');
const path = require('node:path');

// The version is the name of the directory that this file lies in: v1.
const version = path.basename(__dirname);

const server = http.createServer((request, response) => {
  response.writeHead(200, { Version: version, 'Content-Type': 'text/plain' });
  response.end(version + '\n');
});
server.listen(process.env.LISTEN_FDS ? { fd: 3 } : { port: process.env.PORT || 0 });
