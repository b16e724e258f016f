package resty.ffi;

/** Answers calls. Several threads may call it at once, see {@link Threads}. */
@FunctionalInterface
public interface Handler {
    /**
     * The response, or null for nil.
     *
     * <p>What it throws fails the call: {@link FfiException} with its number and message, anything
     * else with 1 and, say, "IllegalStateException: message", and a stack trace in error.log.
     */
    byte[] handle(Request request) throws Exception;
}
