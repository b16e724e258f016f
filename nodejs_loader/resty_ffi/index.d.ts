/** Handlers in Node.js for nginx: ngx.load_ffi("ffi_nodejs", "module,function,text"). */

/** The bytes that Lua sent; null for a nil request. */
export type Request = Buffer | null;

/** Text is sent as UTF-8; null and undefined are nil. */
export type Response = string | NodeJS.ArrayBufferView | null | undefined;

/** A call that is being served. Times are in milliseconds. */
export interface Call {
  /** The Lua method, "" for rt(request). */
  readonly method: string;
  /** As the directive lua_ffi_request_id has it. */
  readonly requestId: string | undefined;
  /** The request's header of that name, of W3C's Trace Context, if it is valid. */
  readonly traceparent: string | undefined;
  /** When the caller gives up, on the clock of performance.now(). */
  readonly deadline: number;
  /** Until then; 0 when it has. */
  timeLeft(): number;
  /** Whether nobody waits any more: timeout, client gone, coroutine killed. */
  isAbandoned(): boolean;
  /** Aborted when the call is abandoned. */
  readonly signal: AbortSignal;
}

/** Answers all calls. */
export type Handle = (request: any, call: Call) => Response | Promise<Response>;

/**
 * Answers calls by methods of the names that Lua used. Those that begin with _,
 * constructor and close are not methods; the one named "" answers rt(request).
 * close() is awaited when the runtime is unloaded, after its last answer.
 */
export interface Methods {
  close?(): unknown;
  /** A function is a Handle. */
  [Symbol.hasInstance]?: never;
  [method: string]: any;
}

export interface Options<Cfg = string> {
  /** What the configuration's text ("" when there is none) goes through first. */
  cfg?: (text: string) => Cfg;
  /** How many calls that wait for something are served at once; the others queue. */
  concurrency?: number;
}

/** What nginx calls once per runtime: the text, undefined when there is none, and the queue. */
export type Entry = (cfg: string | undefined, tq: bigint) => unknown;

/** handler: a function, an object with methods, or a class of such, made with the configuration. */
export function serve<Cfg = string>(
  handler: Handle | Methods | (new (cfg: Awaited<Cfg>) => object),
  options?: Options<Cfg> & { factory?: false },
): Entry;
/** make: called once per runtime with the configuration, returns the handler. */
export function serve<Cfg = string>(
  make: (cfg: Awaited<Cfg>) => Handle | Methods | Promise<Handle | Methods>,
  options: Options<Cfg> & { factory: true },
): Entry;

/** Thrown by a handler, ends its call: Lua gets false, rc, message. Nothing is logged. */
declare class CallError extends globalThis.Error {
  /** rc: an integer other than 0, of 32 bits. */
  constructor(rc: number, message?: string | NodeJS.ArrayBufferView | null, options?: ErrorOptions);
  readonly rc: number;
}
export { CallError as Error };

/** For modules that poll their queue themselves. Blocks: a task, or 0n when the runtime ends. */
export function poll_task(tq: bigint): bigint;
/** A Buffer when it is no UTF-8, undefined for a nil request. */
export function get_req(task: bigint): string | Buffer | undefined;
/** Once for each task. */
export function respond(task: bigint, rc: number, response?: Response): void;
