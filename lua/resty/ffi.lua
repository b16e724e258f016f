-- The Lua side of ngx_http_lua_ffi_module, embedded into it at build time and
-- run once in each Lua VM.  Defines ngx.load_ffi; "resty.ffi" and "resty_ffi"
-- are this module.

local core = ...


local ngx = ngx
local error = error
local ipairs = ipairs
local pcall = pcall
local type = type
local setmetatable = setmetatable
local tostring = tostring
local byte = string.byte
local ceil = math.ceil
local concat = table.concat
local find = string.find
local format = string.format
local gsub = string.gsub
local co_yield = coroutine._yield or coroutine.yield
local get_phase = ngx.get_phase
local re_find = ngx.re.find


local load = core.load
local post = core.post
local fetch = core.fetch
local unload = core.unload
local reload = core.reload
local order = core.order
local order_result = core.order_result
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

-- Milliseconds: two loads that take as long as they may, one after another.
local RELOAD_WAIT = 125000


local function wait_error()
    local phase = get_phase()

    if NO_WAIT[phase] then
        return "API disabled in the context of " .. phase .. "_by_lua*"
    end

    return "cannot wait across a C call (a callback of string.gsub, "
           .. "table.sort or the FFI, a finalizer, or the top level of a "
           .. "required module)"
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


local function reload_all(lib, cfg, seconds)
    check_library(lib, 2)
    check_configuration(cfg, 2)

    local wait = check_seconds(seconds, "seconds", 2) or RELOAD_WAIT
    local ticket, number = order(lib, cfg, wait)

    if not ticket then
        return nil, number or wait_error()
    end

    co_yield()

    -- those that have answered count even when others have not
    local ok, rc, err = fetch(ticket)
    local workers = order_result(number)

    if not workers or not ok and err then
        return nil, err or rc
    end

    return workers
end


local function quoted(text)
    -- an empty pattern, but it says whether the text is UTF-8
    if not re_find(text, "", "u") then
        text = gsub(text, "[\128-\255]", "?")
    end

    return '"' .. gsub(text, '[%c"\\]', function(c)
        return format("\\u%04x", byte(c))
    end) .. '"'
end


local function worker_json(worker)
    local runtimes = {}

    for i, rt in ipairs(worker.runtimes) do
        runtimes[i] = '{"name":' .. quoted(rt.name)
                      .. (rt.error and ',"error":' .. quoted(rt.error) or "")
                      .. "}"
    end

    return format('{"id":%d,"pid":%d,"state":"%s","reloaded":%d,"kept":%d,'
                  .. '"runtimes":[%s]}', worker.id, worker.pid, worker.state,
                  worker.reloaded, worker.kept, concat(runtimes, ","))
end


-- 200 when all that runs the library was reloaded.
local function reload_status(workers)
    local status = 404

    for _, worker in ipairs(workers) do
        if worker.state == "kept" or worker.state == "no answer" then
            return 500
        end

        if worker.reloaded > 0 then
            status = 200
        end
    end

    return status
end


local function answer_json(status, json)
    ngx.status = status
    ngx.header.content_type = "application/json"
    ngx.say(json)
end


-- For content_by_lua: POST, with the arguments library and, perhaps, cfg.
local function serve_reload()
    if ngx.req.get_method() ~= "POST" then
        ngx.header.allow = "POST"
        return answer_json(405, '{"error":"only POST reloads"}')
    end

    local args = ngx.req.get_uri_args()
    local fine, workers, err = pcall(reload_all, args.library, args.cfg)

    if not fine then
        return answer_json(400, '{"error":' .. quoted(workers) .. "}")
    end

    if not workers then
        return answer_json(503, '{"error":' .. quoted(err) .. "}")
    end

    local texts = {}

    for i, worker in ipairs(workers) do
        texts[i] = worker_json(worker)
    end

    answer_json(reload_status(workers),
                '{"workers":[' .. concat(texts, ",") .. "]}")
end


ngx.load_ffi = load_ffi


return {
    _VERSION = core.version,
    load = load_ffi,
    reload = reload_all,
    serve_reload = serve_reload,
}
