"""Modules written for lua-resty-ffi, which use the four functions through cffi."""

import pytest

MODULE = '''
    import threading
    from cffi import FFI

    ffi = FFI()
    ffi.cdef("""
        void *malloc(size_t size);
        void *ngx_http_lua_ffi_task_poll(void *tq);
        char *ngx_http_lua_ffi_get_req(void *task, int *len);
        void ngx_http_lua_ffi_respond(void *task, int rc, char *rsp, int rsp_len);
    """)
    C = ffi.dlopen(None)


    def poll(tq, suffix):
        length = ffi.new("int *")
        while True:
            task = C.ngx_http_lua_ffi_task_poll(ffi.cast("void *", tq))
            if task == ffi.NULL:
                break
            request = C.ngx_http_lua_ffi_get_req(task, length)
            answer = ffi.buffer(request, length[0])[:] + suffix
            response = C.malloc(len(answer))
            ffi.memmove(response, answer, len(answer))
            C.ngx_http_lua_ffi_respond(task, 0, response, len(answer))
        print("the end of the queue")


    def init(cfg, tq):
        suffix = ffi.string(ffi.cast("char *", cfg))
        threading.Thread(target=poll, args=(tq, suffix), daemon=True).start()
        return 0
'''


@pytest.fixture(params=["ffi_python3", "resty_ffi_python"])
def field(python, request):
    python.library = request.param
    python.write("field.py", MODULE)
    return python


def test_module_answers(field):
    assert field.call("field,init, and more", "a\0b") == [True, "a\0b and more"]


def test_configurations_are_independent(field):
    assert field.answer("field,init,1") == "1"
    assert field.answer("field?,init,2") == "2"
    assert field.answer("field,init,1") == "1"


def test_unload_ends_its_thread(field):
    field.answer("field,init,text")
    field.unload("field,init,text")
    field.nginx.log.wait("the end of the queue")


def test_failing_init_is_a_failed_load(field):
    loaded, why = field.load("field,init")
    assert not loaded
    assert "cannot use string() on <cdata 'char *' NULL>" in why
