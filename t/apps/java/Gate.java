import resty.ffi.Handler;
import resty.ffi.RestyFfi;

/** Waits at the gate and responds with what the test answers there. */
class Gate {
    static int init(String cfg, long tq) {
        return RestyFfi.serve(tq, (Handler) request -> At.gate(request.text()));
    }
}
