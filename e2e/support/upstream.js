/** Small HTTP servers that act as upstreams or as another team's site. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** A server that handles each request with `handler(request, response)`, on a free port if none is given. */
export async function startServer(handler, port = 0) {
  const server = createServer(handler);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** An address that refuses connections: a port that was free a moment ago. */
export async function unusedAddress() {
  const server = await startServer(() => {});
  await server.stop();
  return server.origin;
}

export function json(value) {
  return (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
}

export function failing(_request, response) {
  response.statusCode = 500;
  response.end('broken');
}

/** Accepts the request and never responds. */
export function hanging() {}
