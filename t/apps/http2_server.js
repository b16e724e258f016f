'use strict';

// An HTTP/2 server with TLS, run by a node: node http2_server.js KEY CERT. Prints
// its port; /never does not answer, and tells at the gate when that is given up.

const fs = require('fs');
const http2 = require('http2');
const net = require('net');

const [key, cert] = process.argv.slice(2).map((file) => fs.readFileSync(file));


http2.createSecureServer({ key, cert }, async (request, response) => {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  if (request.url === '/never') {
    request.stream.on('close', () => net.connect('gate').end('given up\n'));
    net.connect('gate').end('asked\n');
    return;
  }
  response.writeHead(200, { 'x-method': request.method, 'x-version': request.httpVersion });
  response.end(`${request.url} ${Buffer.concat(chunks)}`);
}).listen(0, '127.0.0.1', function listening() {
  console.log(this.address().port);
});
