package resty.ffi;

/** Fails a call with a number and a message of the handler's own; it is not logged. */
public class FfiException extends Exception {
    private static final long serialVersionUID = 1;

    private final int rc;

    /**
     * Lua gets false, rc, message.
     *
     * @param rc not 0
     * @param message may be null: nil
     */
    public FfiException(int rc, String message) {
        super(message);
        if (rc == 0) {
            throw new IllegalArgumentException("rc 0 is success");
        }
        this.rc = rc;
    }

    public final int rc() {
        return rc;
    }
}
