-- What every phase is asked to do; harness/phases.py says what must come of it.


local keep = require("harness").keep


local _M = {}


-- The handles of init_worker, for VMs that live on; others load them again.
local runtimes = {}


local function runtime(name)
    return runtimes[name] or assert(ngx.load_ffi("echo", name))
end


local OPERATIONS = {}


function OPERATIONS.load()
    local served = false
    pcall(ngx.timer.at, 0, function() served = true end)

    local rt, why = ngx.load_ffi("echo", "new")
    keep("served", served)

    return rt ~= nil, why
end


function OPERATIONS.call()
    local ok, res = runtime("call"):echo("hello")
    return ok and res == "hello", res
end


function OPERATIONS.reload()
    return runtime("reload"):__reload()
end


function OPERATIONS.unload()
    local rt = runtime("unload")
    local ok, err = rt:__unload()
    local called, why = rt:echo("too late")
    return ok and not called and why ~= nil, err
end


function OPERATIONS.unload_and_wait()
    return runtime("unload_and_wait"):__unload(10)
end


-- Loads beforehand what the operations need.
function _M.prepare()
    for name in pairs(OPERATIONS) do
        if name ~= "load" then
            runtimes[name] = assert(ngx.load_ffi("echo", name))
        end
    end
end


local function is_first()
    return ngx.shared.kept:add("visited", true)
end


local function keep_outcome(name, returned, ok, why)
    if returned then
        keep(name, ok and true or false, why)
    else
        keep(name, false, ok)
    end
end


-- Does everything, or one thing, the first time that this phase is reached.
function _M.run(only)
    if not is_first() then
        return
    end

    for name, operation in pairs(OPERATIONS) do
        if not only or only == name then
            keep_outcome(name, pcall(operation))
        end
    end
end


-- Loads, the first time that this phase is reached, what the test holds.
function _M.load_held()
    if is_first() then
        keep("load", ngx.load_ffi("slow_start", "held") ~= nil)
    end
end


-- A worker thread has a Lua VM of its own, to which no handle goes.
function _M.run_worker_thread()
    for name in pairs(OPERATIONS) do
        local rt = name ~= "load" and runtime(name) or nil
        keep_outcome(name, ngx.run_worker_thread("phases", "worker_thread",
                                                 rt and "call" or "load", rt))
    end
end


return _M
