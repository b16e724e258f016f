-- The echo for ngx.run_worker_thread, which loads it anew in a Lua VM of the thread.

return {
    echo = function(request)
        return request
    end,
}
