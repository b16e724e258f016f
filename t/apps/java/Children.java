import java.nio.charset.StandardCharsets;
import resty.ffi.Handler;
import resty.ffi.Request;
import resty.ffi.RestyFfi;

/** Runs its request in a shell and responds with the exit status it saw. */
class Children {
    static int init(String cfg, long tq) {
        return RestyFfi.serve(tq, (Handler) Children::run);
    }

    static byte[] run(Request request) throws Exception {
        Process process = new ProcessBuilder("sh", "-c", request.text()).start();
        return String.valueOf(process.waitFor()).getBytes(StandardCharsets.UTF_8);
    }
}
