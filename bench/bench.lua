-- Times echoes, one way of calling at a time.

local format = string.format
local load_ffi = ngx.load_ffi
local now = ngx.now
local spawn = ngx.thread.spawn
local tcp = ngx.socket.tcp
local update_time = ngx.update_time
local wait = ngx.thread.wait


local _M = {}


local function runtime(library, cfg)
    local rt = assert(load_ffi(library, cfg))

    return function()
        return function(request)
            local ok, response, err = rt:echo(request)
            return ok and response or error(err or response)
        end
    end
end


local function socket(path)
    -- A connection per light thread, kept open: the best case of a socket.
    return function()
        local sock = tcp()
        assert(sock:connect("unix:" .. path))

        return function(request)
            assert(sock:send(format("%08x", #request) .. request))
            local size = assert(sock:receive(8))
            return assert(sock:receive(tonumber(size, 16)))
        end
    end
end


local ways = {
    C = function() return runtime("echo") end,
    Rust = function() return runtime("rust_apps", "echo") end,
    Go = function() return runtime("go_apps", "echo") end,
    ["Node.js"] = function() return runtime("ffi_nodejs", "echo,init,") end,
    Java = function() return runtime("ffi_java", "Echo,init") end,
    Python = function() return runtime("ffi_python3", "sync_echo,init") end,
    async = function() return runtime("ffi_python3", "async_echo,init") end,
    cffi = function() return runtime("ffi_python3", "cffi_echo,init") end,
    socket = function() return socket(ngx.config.prefix() .. "echo.sock") end,
}


local function repeat_echo(echo, request, calls)
    for _ = 1, calls do
        assert(#echo(request) == #request)
    end
end


-- Seconds that the calls took, shared by one light thread for each echo.
local function time(echoes, request, calls)
    local threads = {}

    update_time()
    local start = now()

    for i, echo in ipairs(echoes) do
        threads[i] = spawn(repeat_echo, echo, request, calls / #echoes)
    end

    for _, thread in ipairs(threads) do
        assert(wait(thread))
    end

    update_time()
    return now() - start
end


-- Returns the seconds that a call takes, from as many calls as nginx's clock
-- of milliseconds needs.
function _M.run(way, size, threads)
    local connect = ways[way]()
    local request = ("x"):rep(size)
    local echoes = {}

    for i = 1, threads do
        echoes[i] = connect()
    end

    local calls = threads

    repeat
        calls = calls * 2
        local seconds = time(echoes, request, calls)
        if seconds > 0.1 then
            return seconds / calls
        end
    until false
end


return _M
