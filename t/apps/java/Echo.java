import resty.ffi.Handler;
import resty.ffi.Request;
import resty.ffi.RestyFfi;

/** Responds with the request. */
class Echo {
    static int init(String cfg, long tq) {
        return RestyFfi.serve(tq, (Handler) Request::body);
    }
}
