import resty.ffi.Handler;
import resty.ffi.RestyFfi;

/** Starts when the test lets it; an answer at the gate is why it fails. */
class SlowStart {
    static int init(String cfg, long tq) throws Exception {
        String why = new String(At.gate("slow_start"));
        if (!why.isEmpty()) {
            throw new IllegalStateException(why);
        }
        return RestyFfi.serve(tq, (Handler) request -> "ready".getBytes());
    }
}
