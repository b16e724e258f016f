package resty.ffi.internal;

/** A load that fails for a reason that needs no stack trace. */
final class LoadException extends Exception {
    private static final long serialVersionUID = 1;

    LoadException(String message) {
        super(message);
    }
}
