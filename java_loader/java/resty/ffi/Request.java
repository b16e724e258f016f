package resty.ffi;

import java.nio.charset.StandardCharsets;
import java.time.Duration;

/** A call from Lua. May be used by any thread, until the call is answered. */
public interface Request {
    /** The bytes that came with the call; null for nil. */
    byte[] body();

    /** The same as UTF-8 text; null for nil. */
    default String text() {
        byte[] body = body();
        return body == null ? null : new String(body, StandardCharsets.UTF_8);
    }

    /** The name of the Lua method: "get" for kv:get("a"), "" for kv("a"). */
    String method();

    /** What the directive lua_ffi_request_id says; null without it. */
    String requestId();

    /** The request's header of that name, W3C's Trace Context, if it is valid; or null. */
    default String traceparent() {
        return null;
    }

    /** Until the caller gives up; zero when it has, or the call was answered. */
    Duration timeLeft();

    /** Whether nobody waits any more: timeout, client gone, coroutine killed. */
    boolean isAbandoned();
}
