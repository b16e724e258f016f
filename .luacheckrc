std = "ngx_lua"
read_globals = { "ngx.load_ffi", "ngx.run_worker_thread" }

files["lua/resty/ffi.lua"] = {
    globals = { "ngx.load_ffi" },
    -- ngx_lua's own, below its wrapper.
    read_globals = { "coroutine._yield" },
}
