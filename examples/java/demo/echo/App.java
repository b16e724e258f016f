package demo.echo;

import resty.ffi.Handler;
import resty.ffi.Request;
import resty.ffi.RestyFfi;

/** Responds with what the configuration says, and the request. */
public final class App {
    private App() {}

    public static int init(String cfg, long tq) {
        String greeting = cfg == null ? "" : cfg;
        Handler echo = (Request request) -> (greeting + request.text()).getBytes();
        return RestyFfi.serve(tq, echo);
    }
}
