/** Handlers under test, called as Lua would, without nginx. */

import type { Entry } from 'resty_ffi';

export interface CallOptions {
  /** Milliseconds that a call may take; 60000. */
  timeout?: number;
  requestId?: string;
  traceparent?: string;
}

export class Runtime {
  /** entry: what serve() returned. cfg: the configuration's text. */
  static load(entry: Entry, cfg?: string, options?: CallOptions): Promise<Runtime>;

  /**
   * As rt:method(request) in Lua. Rejects with resty_ffi's Error, or with a
   * DOMException named TimeoutError, which aborts the call's signal.
   */
  call(
    method: string,
    request?: string | NodeJS.ArrayBufferView | null,
    options?: CallOptions,
  ): Promise<Buffer | null>;

  /** Ends it: resolves when all calls are answered and the handler is closed. */
  close(): Promise<void>;
}
