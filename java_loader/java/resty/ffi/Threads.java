package resty.ffi;

/** The threads that call a handler. */
public final class Threads {
    /** What a handler gets that does not say otherwise. */
    public static final Threads DEFAULT = new Threads(4);

    private final int count;

    private Threads(int count) {
        this.count = count;
    }

    /** So many threads; 1 calls the handler for one request after the other. */
    public static Threads of(int count) {
        if (count < 1) {
            throw new IllegalArgumentException("threads: at least 1 is needed, not " + count);
        }
        return new Threads(count);
    }

    /**
     * A thread for each call: a virtual one from JDK 21 on, a pooled one before. Virtual threads of
     * all runtimes share a few carriers: code that blocks without letting go of its carrier holds
     * up the others.
     */
    public static Threads perCall() {
        return new Threads(0);
    }

    /** 0: one for each call. */
    public int count() {
        return count;
    }
}
