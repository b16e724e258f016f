// What the types allow, and what they do not: compiled by make lint, never run.

import ffi, { serve, Error as CallError, type Call, type Request } from 'resty_ffi';
import { Runtime } from 'resty_ffi/testing';

class Counter {
  constructor(private readonly cfg: { limit: number }) {}

  hit(request: Request, { signal, method }: Call): string {
    signal.throwIfAborted();
    if (request === null) {
      throw new CallError(400, `${method} wants a name`);
    }
    return `${request.toString()} ${this.cfg.limit}`;
  }

  async close(): Promise<void> {}
}

export const init = serve(Counter, { cfg: (text): { limit: number } => JSON.parse(text) });
export const simple = serve(async (request: Buffer) => request);
export const object = serve({ get: () => null, async put() {}, close() {} });
export const made = serve(async (cfg) => () => cfg.toUpperCase(), { factory: true });

export async function use(): Promise<Buffer | null> {
  const runtime = await Runtime.load(init, '{"limit": 1}', { timeout: 1000 });
  await runtime.close();
  return runtime.call('hit', 'ada', { requestId: 'id' });
}

export function field(tq: bigint): void {
  const task = ffi.poll_task(tq);
  ffi.respond(task, 0, ffi.get_req(task));
}

// @ts-expect-error: there are no threads
serve(Counter, { threads: 4 });
// @ts-expect-error: a number cannot be sent
serve(() => 5);
// @ts-expect-error: rc is a number
new CallError('too many');
