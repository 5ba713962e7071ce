/** Small servers in the place of upstream services and of other teams' pages. */
import { once } from 'node:events';
import { createServer } from 'node:http';

/** Answers every request with `handler(request, response)`. */
export async function startServer(handler) {
  const server = createServer(handler);
  server.listen(0, '127.0.0.1');
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

/** An address where nobody listens: a port that was free a moment ago. */
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

/** Takes the request and never answers. */
export function hanging() {}
