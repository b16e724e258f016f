package demo.http2;

import jnr.ffi.LibraryLoader;
import jnr.ffi.Pointer;
import jnr.ffi.Runtime;
import jnr.ffi.byref.IntByReference;

/** As classes for lua-resty-ffi are: it polls on a thread of its own, by jnr-ffi. */
public class App {
    public interface Nginx {
        Pointer ngx_http_lua_ffi_task_poll(Pointer tq);

        Pointer ngx_http_lua_ffi_get_req(Pointer task, IntByReference len);

        void ngx_http_lua_ffi_respond(Pointer task, int rc, Pointer rsp, int len);
    }

    public interface Libc {
        Pointer malloc(long size);
    }

    private static final Nginx NGINX = LibraryLoader.create(Nginx.class).searchDefault().load();
    private static final Libc LIBC = LibraryLoader.create(Libc.class).searchDefault().load();

    public static int init(String cfg, long tq) {
        Pointer queue = Pointer.wrap(Runtime.getSystemRuntime(), tq);
        Thread thread = new Thread(() -> poll(queue, cfg));
        thread.setDaemon(true);
        thread.start();
        return 0;
    }

    private static void poll(Pointer queue, String cfg) {
        Pointer task;
        while ((task = NGINX.ngx_http_lua_ffi_task_poll(queue)) != null) {
            IntByReference len = new IntByReference();
            Pointer request = NGINX.ngx_http_lua_ffi_get_req(task, len);
            byte[] text = new byte[request == null ? 0 : len.intValue()];
            if (request != null) {
                request.get(0, text, 0, text.length);
            }
            respond(task, text.length == 0 ? 3 : 0, (cfg + ":" + new String(text)).getBytes());
        }
        System.out.println("the end of the queue");
    }

    private static void respond(Pointer task, int rc, byte[] text) {
        Pointer response = LIBC.malloc(text.length);
        response.put(0, text, 0, text.length);
        NGINX.ngx_http_lua_ffi_respond(task, rc, response, text.length);
    }
}
