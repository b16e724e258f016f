import resty.ffi.Handler;
import resty.ffi.RestyFfi;

/** Responds with as many bytes as the request says, each its offset & 0xff. */
class Big {
    static int init(String cfg, long tq) {
        Handler grow = request -> {
            byte[] response = new byte[Integer.parseInt(request.text())];
            for (int i = 0; i < response.length; i++) {
                response[i] = (byte) i;
            }
            return response;
        };
        return RestyFfi.serve(tq, grow);
    }
}
