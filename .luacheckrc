std = "ngx_lua"
read_globals = { "ngx.load_ffi" }

files["lua/resty/ffi.lua"] = {
    globals = { "ngx.load_ffi" },
    -- ngx_lua's own, below its wrapper.
    read_globals = { "coroutine._yield" },
}
