-- HTTP in front of one Python handler, reloaded without losing a request: what
-- "resty-ffi run" and the pytest fixture put into their nginx.conf.
--
-- The first segment of the path is the method, the body the request.
--
-- A version is a number; a load that begins later has a greater one.  Each
-- worker tells the others which it serves, and follows when one of them serves
-- a newer one than it has tried.  New code is tried by one worker alone: when
-- that fails, no other is troubled.

local _M = {}

local ngx = ngx
local max = math.max
local shared = ngx.shared.resty_ffi

local LIBRARY = "ffi_python3"

-- Seconds.
local PATIENCE = 60
local STEP = 0.02
local TICK = 0.1
local PAUSE = 5

local FIRST = 1

local DIED = "the runtime died"

-- What others are told of a failure at most; it is all in the log.
local REASON_MAX = 1000

-- They have a body, even if it is empty.
local WITH_BODY = { POST = true, PUT = true, PATCH = true }

local configuration

-- Of this worker: its number, the runtime, its version, the one that was tried
-- last and what was wrong with it, the one that is being loaded.
local id
local current
local served = 0
local tried = 0
local reason
local loading
local pause_end = 0


local function tell(what, value)
    shared:set(what .. id, value)
end


local function heard(what, worker)
    return shared:get(what .. worker) or 0
end


-- The version that the others have, or are about to have; 0 without one.
local function newest()
    local number = 0
    for worker = 0, ngx.worker.count() - 1 do
        number = max(number, heard("served", worker))
    end
    return number
end


-- The runtime, with fresh code; or nothing and err, and the old code serves on.
local function fresh()
    local rt = current
    if not rt then
        return ngx.load_ffi(LIBRARY, configuration)
    end
    local ok, err = rt:__reload()
    return ok and rt, err
end


local function load(number)
    -- Stays there when this worker ends meanwhile: see start().
    loading = number
    tell("loading", number)
    local rt, err = fresh()
    tell("loading", nil)
    loading = nil

    tried, reason = number, err
    if rt then
        current, served = rt, number
        tell("served", number)
    else
        tell("reason", err:sub(1, REASON_MAX))
    end
    tell("tried", number)
end


-- Has this worker serve that version or a later one.  Returns its runtime, or
-- nil and why it has not; the old code serves on then.
local function follow(number)
    local done = served
    while loading do
        done = max(done, loading)
        ngx.sleep(STEP)
    end
    if max(done, served) < number then
        load(number)
    end
    if served >= number then
        return current
    end
    return nil, reason
end


-- How many workers have not tried that version yet, how many have failed, and
-- what one of these says.
local function census(number)
    local waiting, failed, why = 0, 0, nil
    for worker = 0, ngx.worker.count() - 1 do
        if heard("tried", worker) < number then
            waiting = waiting + 1
        elseif heard("served", worker) < number then
            failed, why = failed + 1, heard("reason", worker)
        end
    end
    return waiting, failed, why
end


-- Waits until every worker has tried that version.  nil, or what went wrong.
local function await(number)
    local deadline = ngx.now() + PATIENCE
    local waiting, failed, why = census(number)
    while waiting > 0 and ngx.now() < deadline do
        ngx.sleep(STEP)
        waiting, failed, why = census(number)
    end
    local of = " of " .. ngx.worker.count() .. " workers "
    if failed > 0 then
        return failed .. of .. "did not load it: " .. why
    end
    return waiting > 0 and waiting .. of .. "have not loaded it yet" or nil
end


local function runtime()
    if current then
        return current
    end
    if ngx.now() < pause_end then
        return nil, reason
    end
    return follow(max(newest(), FIRST))
end


local function tick(premature)
    local number = newest()
    if not premature and not loading and number > tried then
        follow(number)
    end
end


local function answer(status, text)
    ngx.status = status
    if text then
        ngx.header.content_type = "text/plain; charset=utf-8"
        ngx.say(text)
    end
    return ngx.exit(status)
end


-- Whether it is the loader that says so: as Python's repr() has the name.
local function is_unknown(method, rc, message)
    if rc ~= 1 or not message then
        return false
    end
    if message == "no method '" .. method .. "'" then
        return true
    end
    local is_escaped = method:find("[^%w_]")
    return is_escaped and message:find("^no method (['\"]).*%1$")
end


local function failure(method, rc, message)
    if type(rc) == "number" then
        if rc >= 400 and rc <= 599 then
            return answer(rc, message)
        end
        return answer(is_unknown(method, rc, message) and 404 or 500,
                      message or "rc " .. rc)
    end
    return answer(rc == "timeout" and 504 or 503, rc)
end


local function request()
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    local path = not body and ngx.req.get_body_file()
    if path then
        local file = assert(io.open(path, "rb"))
        -- "*a" would take twice the memory.
        local size = file:seek("end")
        file:seek("set")
        body = file:read(size)
        file:close()
    end
    if body or WITH_BODY[ngx.req.get_method()] then
        return body or ""
    end
    return ngx.var.args and ngx.unescape_uri(ngx.var.args)
end


-- false and nil: there is no runtime, and err says why.
local function call(method, body)
    local rt, err = runtime()
    if not rt then
        return false, nil, err
    end
    local ok, res, message = rt[method](rt, body)
    if ok or type(res) == "number" then
        return ok, res, message
    end

    local is_dead = res == "unloaded" or res:find(DIED, 1, true) == 1
    if is_dead and current == rt then
        current, served = nil, 0
    end
    if res ~= "unloaded" then
        return ok, res
    end
    -- It died before it has seen the call: another one may.
    rt, err = runtime()
    if not rt then
        return false, nil, err
    end
    return rt[method](rt, body)
end


-- init_by_lua: the folder of the module, and what follows in a configuration.
function _M.init(path, cfg)
    -- "/./": Lua of the user's own would not spell it so
    configuration = path .. "/./" .. cfg
end


-- init_worker_by_lua.
function _M.start()
    id = ngx.worker.id()
    local number = shared:get("loading" .. id)
    for _, what in ipairs { "tried", "served", "reason", "loading" } do
        tell(what, nil)
    end
    if number then
        -- A worker of this number has not come back from a load.  Without a
        -- pause it would take one worker after the other.
        pause_end = ngx.now() + PAUSE
        tried, reason = number, "the code has ended the worker that loaded it"
        tell("reason", reason)
        tell("tried", number)
    end
    assert(ngx.timer.every(TICK, tick))
end


-- content_by_lua: calls the handler.
function _M.content()
    local method = ngx.var.uri:match("^/([^/]*)")
    if method:sub(1, 1) == "_" then
        return answer(404, "no method '" .. method .. "'")
    end

    -- The body may take long: the runtime is that of the time when it is here.
    local ok, res, message = call(method, request())
    if ok then
        if not res then
            return answer(204)
        end
        return ngx.print(res)
    end
    if not res then
        return answer(500, message)
    end
    return failure(method, res, message)
end


-- content_by_lua of the control socket: 200 when every worker serves.
function _M.check()
    local rt, err = runtime()
    if rt then
        err = await(served)
    end
    return answer(err and 500 or 200, err)
end


-- content_by_lua of the control socket: 200 when every worker serves the code
-- that was on disk when it was asked, or a later one.
function _M.reload()
    local number = shared:incr("version", 1, FIRST)
    local rt, err = follow(number)
    if rt then
        err = await(number)
    elseif current then
        err = "the old code serves on: " .. err
    end
    return answer(err and 500 or 200, err)
end


return _M
