package resty.ffi.internal;

/** Waits that an interrupt does not end. */
final class Waiting {
    private Waiting() {}

    interface Wait {
        void run() throws InterruptedException;
    }

    static void join(Thread thread, long ms) {
        if (ms > 0) {
            forEver(() -> thread.join(ms));
        }
    }

    static void forEver(Wait wait) {
        boolean interrupted = false;
        while (true) {
            try {
                wait.run();
                break;
            } catch (InterruptedException again) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
