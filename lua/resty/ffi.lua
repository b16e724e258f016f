-- The Lua side of ngx_http_lua_ffi_module, embedded into it at build time and
-- run once in each Lua VM.  Defines ngx.load_ffi; "resty.ffi" and "resty_ffi"
-- are this module.

local core = ...


local error = error
local ceil = math.ceil
local find = string.find
local type = type
local setmetatable = setmetatable
local tostring = tostring
local co_yield = coroutine._yield or coroutine.yield
local get_phase = ngx.get_phase


local load = core.load
local post = core.post
local fetch = core.fetch
local unload = core.unload
local reload = core.reload
local unanswered = core.unanswered
local is_runtime = core.is_runtime


-- Seconds; nginx counts its timers in 31 bits of milliseconds.
local MAX_SECONDS = 2147483

-- The handles of the calls in flight run out there.
local MAX_QUEUE = 1048576

-- More is as good as no limit.
local MAX_REQUESTS = 1000000000

-- Where a coroutine cannot wait for anything.
local NO_WAIT = {
    init = true,
    init_worker = true,
    exit_worker = true,
    set = true,
    balancer = true,
    header_filter = true,
    body_filter = true,
    log = true,
    ssl_session_store = true,
}

local NO_OPTS = {}


local function wait_error()
    local phase = get_phase()

    if NO_WAIT[phase] then
        return "API disabled in the context of " .. phase .. "_by_lua*"
    end

    return "cannot wait across a C call (a callback of string.gsub or "
           .. "table.sort, or the top level of a required module)"
end


local function check_seconds(value, name, level)
    if value == nil then
        return nil
    end

    -- not (a and b), so that NaN fails, too
    if type(value) ~= "number" or not (value > 0 and value <= MAX_SECONDS) then
        error(name .. " must be a number of seconds, above 0 and at most "
              .. MAX_SECONDS, level + 1)
    end

    return ceil(value * 1000)
end


local function check_boolean(value, name, level)
    if value ~= nil and type(value) ~= "boolean" then
        error(name .. " must be a boolean", level + 1)
    end

    return value
end


local function check_whole(value, max, name, level)
    if value ~= nil
       and (type(value) ~= "number"
            or not (value >= 1 and value <= max)
            or value % 1 ~= 0)
    then
        error(name .. " must be a whole number from 1 to " .. max, level + 1)
    end

    return value
end


-- Whether to replace.
local function check_on_stuck(value, level)
    if value ~= nil and value ~= "report" and value ~= "replace" then
        error('opts.on_stuck must be "report" or "replace"', level + 1)
    end

    return value == "replace"
end


local function check_opts(opts, level)
    if type(opts) ~= "table" then
        error("opts must be a table or nil, got " .. type(opts), level + 1)
    end

    return opts
end


-- Times in milliseconds.
local function check_load_opts(opts, level)
    if opts == nil then
        return NO_OPTS
    end

    level = level + 1
    check_opts(opts, level)

    return {
        max_queue = check_whole(opts.max_queue, MAX_QUEUE, "opts.max_queue",
                                level),
        timeout = check_seconds(opts.timeout, "opts.timeout", level),
        load_timeout = check_seconds(opts.load_timeout, "opts.load_timeout",
                                     level),
        max_requests = check_whole(opts.max_requests, MAX_REQUESTS,
                                   "opts.max_requests", level),
        max_age = check_seconds(opts.max_age, "opts.max_age", level),
        stuck_after = check_seconds(opts.stuck_after, "opts.stuck_after",
                                    level),
        replace_stuck = check_on_stuck(opts.on_stuck, level),
        unpin = check_boolean(opts.unpin, "opts.unpin", level),
        is_global = check_boolean(opts.is_global, "opts.is_global", level),
    }
end


local function check_library(lib, level)
    if type(lib) ~= "string" or lib == "" or lib == "?"
       or find(lib, "%z")
    then
        error("library must be the name or path of a library", level + 1)
    end
end


local function check_configuration(cfg, level)
    if cfg ~= nil and (type(cfg) ~= "string" or find(cfg, "%z")) then
        error("configuration must be a string without NUL bytes, or nil",
              level + 1)
    end
end


local function load_ffi(lib, cfg, opts)
    check_library(lib, 2)
    check_configuration(cfg, 2)

    local rt, ticket = load(lib, cfg, check_load_opts(opts, 2))
    if not rt then
        return nil, ticket
    end

    if ticket then
        co_yield()

        local ok, rc, err = fetch(ticket)
        if not ok then
            return nil, err or rc
        end
    end

    return rt
end


-- Tail-called by the methods: its level 2 is their caller.
local function call(rt, method, req, opts)
    if req ~= nil and type(req) ~= "string" then
        error("request must be a string or nil, got " .. type(req), 2)
    end

    local timeout
    if opts ~= nil then
        timeout = check_seconds(check_opts(opts, 2).timeout,
                                "opts.timeout", 2)
    end

    local ticket, err = post(rt, method, req, timeout)
    if not ticket then
        return false, err or wait_error()
    end

    co_yield()

    return fetch(ticket)
end


local function new_method(name)
    return function(self, req, opts)
        if not is_runtime(self) then
            error("bad runtime: call rt:" .. name .. "(request), "
                  .. "with a colon", 2)
        end

        return call(self, name, req, opts)
    end
end


local function unload_runtime(self, seconds)
    if not is_runtime(self) then
        error("bad runtime: call rt:__unload(), with a colon", 2)
    end

    local wait = check_seconds(seconds, "wait", 2)
    local ticket, err = unload(self, wait)

    if ticket == true then
        return true
    end

    if not ticket then
        return nil, err or wait_error()
    end

    co_yield()

    local ok, rc, reason = fetch(ticket)
    if ok then
        return true
    end

    if reason then
        return nil, reason
    end

    return nil, rc .. ": the runtime is still busy, calls unanswered: "
                .. unanswered(self)
end


local function reload_runtime(self)
    if not is_runtime(self) then
        error("bad runtime: call rt:__reload(), with a colon", 2)
    end

    local ticket, err = reload(self)
    if not ticket then
        return nil, err or wait_error()
    end

    co_yield()

    local ok, rc, reason = fetch(ticket)
    if not ok then
        return nil, reason or rc
    end

    return true
end


-- Any name is a method.  They are kept only as long as somebody uses them, so
-- that names out of requests do not pile up.
local methods = setmetatable({}, {
    __mode = "v",
    __index = function(self, name)
        name = tostring(name)

        local method = new_method(name)
        self[name] = method

        return method
    end
})


local OPERATIONS = {
    __unload = unload_runtime,
    __reload = reload_runtime,
}

local runtime = core.metatable
runtime.__metatable = false

function runtime.__index(_, name)
    return OPERATIONS[name] or methods[name]
end


function runtime.__call(self, req, opts)
    return call(self, "", req, opts)
end


function runtime.__tostring()
    return "resty.ffi runtime"
end


ngx.load_ffi = load_ffi


return {
    _VERSION = core.version,
    load = load_ffi,
}
