import resty.ffi.Handler;
import resty.ffi.RestyFfi;

/** Fails, with the request as the reason. */
class Fail {
    static int init(String cfg, long tq) {
        Handler fail = request -> {
            throw new IllegalStateException(request.text());
        };
        return RestyFfi.serve(tq, fail);
    }
}
