-- Times echoes, one way of calling at a time.

local format = string.format
local now = ngx.now
local spawn = ngx.thread.spawn
local tcp = ngx.socket.tcp
local update_time = ngx.update_time
local wait = ngx.thread.wait


local _M = {}


-- Each way returns a function that makes one echo for a light thread.

function _M.runtime(rt)
    assert(rt)

    return function()
        return function(request)
            local ok, response, err = rt:echo(request)
            return ok and response or error(err or response)
        end
    end
end


function _M.thread(run)
    return function()
        return function(request)
            local ok, response = run(request)
            return ok and response or error(response)
        end
    end
end


function _M.socket(path)
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
function _M.run(connect, size, threads)
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
