'use strict';

// An HTTP/2 client: one connection for each origin, shared by all calls, kept
// until the runtime is unloaded. {"url": ..., "method": ..., "headers": ...,
// "body": ...} becomes {"status": ..., "headers": ..., "body": ...}.

const fs = require('fs');
const http2 = require('http2');

const { serve, Error: CallError } = require('resty_ffi');

const BAD_REQUEST = 400;
const BAD_GATEWAY = 502;


class Client {
  // ca: a file with the certificates to trust, besides those of Node.js.
  constructor({ ca }) {
    this._options = ca ? { ca: fs.readFileSync(ca) } : {};
    this._sessions = new Map();
  }

  async fetch(request, { signal }) {
    const { url, method = 'GET', headers = {}, body } = JSON.parse(request);
    if (!/^https?:\/\/./.test(url)) {
      throw new CallError(BAD_REQUEST, `${url} is no URL`);
    }

    const { origin, pathname, search } = new URL(url);
    try {
      const stream = this._session(origin).request(
        { ...headers, ':method': method, ':path': pathname + search },
        { signal },
      );
      stream.end(body);
      return JSON.stringify(await read(stream));
    } catch (error) {
      throw error.name === 'AbortError' ? error : new CallError(BAD_GATEWAY, error.message);
    }
  }

  async close() {
    for (const session of this._sessions.values()) {
      session.close();
    }
  }

  _session(origin) {
    let session = this._sessions.get(origin);

    if (session === undefined) {
      session = http2.connect(origin, this._options);
      session.on('error', (error) => console.warn(`${origin}: ${error.message}`));
      session.on('close', () => this._sessions.delete(origin));
      this._sessions.set(origin, session);
    }
    return session;
  }
}


async function read(stream) {
  const headers = await new Promise((resolve, reject) => {
    stream.once('response', resolve).once('error', reject);
  });
  const chunks = [];

  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return { status: headers[':status'], headers, body: Buffer.concat(chunks).toString() };
}


exports.init = serve(Client, { cfg: (text) => JSON.parse(text || '{}') });
