-- Runs in the Lua VM of a worker thread, which is not nginx's own.


local _M = {}


function _M.load()
    return pcall(function() return type(ngx.load_ffi("echo")) end)
end


function _M.call(rt)
    return pcall(function() return rt:echo("hello") end)
end


return _M
