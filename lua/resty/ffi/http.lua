-- HTTP in front of one Python handler, reloaded without losing a request: what
-- "resty-ffi run" and the pytest fixture put into their nginx.conf.
--
-- The first segment of the path is the method, the body the request.

local _M = {}

local ngx = ngx
local shared = ngx.shared.resty_ffi

local LIBRARY = "ffi_python3"
local PATIENCE = 60

local folder, rest
-- of this worker
local current, version
local loading


local function configuration(number)
    -- Two spellings of one folder: new code loads beside the old.
    return folder .. (number % 2 == 0 and "/" or "/./") .. rest
end


local function load(number)
    return ngx.load_ffi(LIBRARY, configuration(number))
end


local function swap(rt, number)
    local old = current
    current, version = rt, number
    if old then
        return old:__unload(PATIENCE)
    end
    return true
end


-- Workers other than the one that was told to reload.
local function follow(_, number)
    local rt = load(number)
    if rt then
        swap(rt, number)
    else
        -- The log says why; the old code serves on.
        version = number
    end
    loading = nil
end


local function runtime()
    local number = shared:get("version") or 0
    if not current then
        local rt, err = load(number)
        if not rt then
            return nil, err
        end
        current, version = current or rt, version or number
    elseif number ~= version and not loading then
        loading = true
        assert(ngx.timer.at(0, follow, number))
    end
    return current
end


local function answer(status, text)
    ngx.status = status
    if text then
        ngx.header.content_type = "text/plain; charset=utf-8"
        ngx.say(text)
    end
    return ngx.exit(status)
end


local function failure(rc, message)
    if type(rc) == "number" then
        if rc >= 400 and rc <= 599 then
            return answer(rc, message)
        end
        message = message or "rc " .. rc
        return answer(message:find("no method", 1, true) == 1 and 404 or 500, message)
    end
    return answer(rc == "timeout" and 504 or 503, rc)
end


local function request()
    ngx.req.read_body()
    local body = ngx.req.get_body_data()
    local path = not body and ngx.req.get_body_file()
    if path then
        local file = assert(io.open(path, "rb"))
        body = file:read("*a")
        file:close()
    end
    if body then
        return body
    end
    return ngx.var.args and ngx.unescape_uri(ngx.var.args)
end


function _M.init(cfg)
    folder, rest = cfg:match("^(.*)/(.*)$")
end


-- content_by_lua: calls the handler.
function _M.content()
    local method = ngx.var.uri:match("^/([^/]*)")
    if method:sub(1, 1) == "_" then
        return answer(404, "no method '" .. method .. "'")
    end

    local rt, err = runtime()
    if not rt then
        return answer(500, err)
    end

    local ok, res, message
    if method == "" then
        ok, res, message = rt(request())
    else
        ok, res, message = rt[method](rt, request())
    end

    if not ok then
        return failure(res, message)
    end
    if not res then
        return answer(204)
    end
    ngx.print(res)
end


-- content_by_lua of the control socket: 200 when the handler is loaded.
function _M.check()
    local rt, err = runtime()
    return answer(rt and 200 or 500, err)
end


-- content_by_lua of the control socket: 200 when all new requests get new code.
function _M.reload()
    local number = (shared:get("version") or 0) + 1
    local rt, err = load(number)
    if not rt then
        return answer(500, err)
    end
    shared:set("version", number)
    local gone
    gone, err = swap(rt, number)
    return answer(gone and 200 or 500, err)
end


return _M
